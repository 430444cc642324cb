"""Optimizers and schedules by Optax, in the one form the engine needs: every number may be traced.

Each optimizer is `(learning_rate, *, momentum, weight_decay) -> optax.GradientTransformation`.
`learning_rate` is a function of the step. A new value of any of them costs no compilation.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

Schedule = Callable[[Any], Any]
Optimizer = Callable[..., optax.GradientTransformation]


def sgd(
    learning_rate: Schedule, *, momentum: Any, weight_decay: Any
) -> optax.GradientTransformation:
    """Plain gradient descent; `momentum` is not used."""
    del momentum
    return _decayed(weight_decay, optax.sgd(learning_rate))


def momentum(
    learning_rate: Schedule, *, momentum: Any, weight_decay: Any
) -> optax.GradientTransformation:
    """Gradient descent with heavy-ball momentum (Polyak 1964)."""
    return _decayed(weight_decay, optax.sgd(learning_rate, momentum=momentum))


def nesterov(
    learning_rate: Schedule, *, momentum: Any, weight_decay: Any
) -> optax.GradientTransformation:
    """Gradient descent with Nesterov's momentum (Sutskever et al. 2013)."""
    return _decayed(weight_decay, optax.sgd(learning_rate, momentum=momentum, nesterov=True))


def adagrad(
    learning_rate: Schedule, *, momentum: Any, weight_decay: Any
) -> optax.GradientTransformation:
    """AdaGrad (Duchi et al. 2011); `momentum` is not used."""
    del momentum
    return _decayed(weight_decay, optax.adagrad(learning_rate))


def rmsprop(
    learning_rate: Schedule, *, momentum: Any, weight_decay: Any
) -> optax.GradientTransformation:
    """RMSprop (Tieleman and Hinton 2012); `momentum` is not used."""
    del momentum
    return _decayed(weight_decay, optax.rmsprop(learning_rate))


def adam(
    learning_rate: Schedule, *, momentum: Any, weight_decay: Any
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015); `momentum` is not used (b1 = 0.9)."""
    del momentum
    return _decayed(weight_decay, optax.adam(learning_rate))


def adamw(
    learning_rate: Schedule, *, momentum: Any, weight_decay: Any
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""
    del momentum
    return optax.adamw(learning_rate, weight_decay=weight_decay)


def lion(
    learning_rate: Schedule, *, momentum: Any, weight_decay: Any
) -> optax.GradientTransformation:
    """Lion (Chen et al. 2023); its rates are about a tenth of Adam's."""
    del momentum
    return optax.lion(learning_rate, weight_decay=weight_decay)


def muon(
    learning_rate: Schedule, *, momentum: Any, weight_decay: Any
) -> optax.GradientTransformation:
    """Muon (Jordan 2024) on matrices; Optax gives every other shape to Adam."""
    from optax import contrib  # a tenth of a second, for this one

    return contrib.muon(learning_rate, beta=momentum, weight_decay=weight_decay)


def schedule(
    shape: str, peak: Any, *, total_steps: int, warmup_steps: int = 0
) -> Callable[[Any], Any]:
    """The learning rate at each step: `peak` times a constant, cosine or linear shape.

    After `warmup_steps` of linear growth the shape is 1 ("constant"), or falls from 1 to 0 at
    `total_steps` as half a cosine ("cosine") or a line ("linear"). `peak` may be traced.

    >>> float(schedule("linear", 0.5, total_steps=10)(5))
    0.25
    """
    if shape not in SCHEDULES:
        raise ValueError(f"schedule={shape!r}; expected one of {', '.join(SCHEDULES)}")
    if not 0 <= warmup_steps < max(total_steps, 1):
        raise ValueError(
            f"warmup_steps={warmup_steps}; expected 0 to {total_steps - 1}, fewer than the "
            f"{total_steps} steps of the run"
        )
    rest = max(total_steps - warmup_steps, 1)
    decay = {
        "constant": optax.constant_schedule(1.0),
        "cosine": optax.cosine_decay_schedule(1.0, rest),
        "linear": optax.linear_schedule(1.0, 0.0, rest),
    }[shape]
    if warmup_steps:
        warmup = optax.linear_schedule(1.0 / warmup_steps, 1.0, max(warmup_steps - 1, 1))
        decay = optax.join_schedules([warmup, decay], [warmup_steps])

    def rate(step: Any) -> Array:
        return jnp.asarray(peak, jnp.float32) * jnp.asarray(decay(step), jnp.float32)

    return rate


SCHEDULES = ("constant", "cosine", "linear")


def _decayed(
    weight_decay: Any, optimizer: optax.GradientTransformation
) -> optax.GradientTransformation:
    return optax.chain(optax.add_decayed_weights(weight_decay), optimizer)
