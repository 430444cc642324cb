"""Optimizers from Optax, in the form the engine trains with.

An `Optimizer` is `(learning_rate, *, momentum, weight_decay) -> optax.GradientTransformation`,
where `learning_rate` is a function of the step. All of its numbers may be traced, so a new value
costs no compilation. The named optimizers below have this form; `adapt` brings any Optax factory
into it.
"""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jcnn import names
from jcnn.errors import UsageError
from jcnn.training.schedules import Schedule

Optimizer = Callable[..., optax.GradientTransformation]

_NUMBERS = ("momentum", "weight_decay")
_EXPECTED = (
    "expected a callable that takes a learning rate and returns an optax.GradientTransformation, "
    "such as optax.adam"
)


@dataclass(frozen=True)
class OptaxOptimizer:
    """An Optax factory as an `Optimizer`.

    `momentum` and `weight_decay` name the arguments of the factory that take these numbers; a
    number without a name is not passed. With `l2_decay`, the weight decay is added to the gradients
    before the optimizer sees them. The factory is given a schedule as its first argument, or as the
    keyword `learning_rate` if `rate_by_name`. If `rate_per_step`, it is given a number instead, and
    is called at every step.
    """

    factory: Callable[..., Any]
    momentum: str | None = None
    weight_decay: str | None = None
    l2_decay: bool = False
    rate_by_name: bool = False
    rate_per_step: bool = False

    def __call__(
        self, learning_rate: Schedule, *, momentum: Any, weight_decay: Any
    ) -> optax.GradientTransformation:
        """Build the transformation."""
        values = {self.momentum: momentum, self.weight_decay: weight_decay}
        arguments = {name: value for name, value in values.items() if name is not None}

        def build(rate: Any) -> optax.GradientTransformation:
            if self.rate_by_name:
                built = self.factory(learning_rate=rate, **arguments)
            else:
                built = self.factory(rate, **arguments)
            return built.gradient_transformation() if isinstance(built, optax.MultiSteps) else built

        optimizer = _per_step(build, learning_rate) if self.rate_per_step else build(learning_rate)
        if self.l2_decay:
            return optax.chain(optax.add_decayed_weights(weight_decay), optimizer)
        return optimizer


def _muon(learning_rate: Schedule, **numbers: Any) -> optax.GradientTransformation:
    from optax import contrib  # takes a tenth of a second to import

    return contrib.muon(learning_rate, **numbers)


sgd: Optimizer = OptaxOptimizer(optax.sgd, l2_decay=True)
"""Gradient descent; `momentum` is not used."""

momentum: Optimizer = OptaxOptimizer(optax.sgd, momentum="momentum", l2_decay=True)
"""Gradient descent with heavy-ball momentum (Polyak 1964)."""

nesterov: Optimizer = OptaxOptimizer(
    functools.partial(optax.sgd, nesterov=True), momentum="momentum", l2_decay=True
)
"""Gradient descent with Nesterov's momentum (Sutskever et al. 2013)."""

adagrad: Optimizer = OptaxOptimizer(optax.adagrad, l2_decay=True)
"""AdaGrad (Duchi et al. 2011); `momentum` is not used."""

rmsprop: Optimizer = OptaxOptimizer(optax.rmsprop, l2_decay=True)
"""RMSprop (Tieleman and Hinton 2012); `momentum` is not used."""

adam: Optimizer = OptaxOptimizer(optax.adam, l2_decay=True)
"""Adam (Kingma and Ba 2015); `momentum` is not used (b1 = 0.9)."""

adamw: Optimizer = OptaxOptimizer(optax.adamw, weight_decay="weight_decay")
"""Adam with decoupled weight decay (Loshchilov and Hutter 2019); `momentum` is not used."""

lion: Optimizer = OptaxOptimizer(optax.lion, weight_decay="weight_decay")
"""Lion with decoupled weight decay (Chen et al. 2023); `momentum` is not used.

Its learning rates are about a tenth of Adam's.
"""

muon: Optimizer = OptaxOptimizer(_muon, momentum="beta", weight_decay="weight_decay")
"""Muon with decoupled weight decay (Jordan 2024) for matrices, and Adam for every other shape."""


def adapt(
    factory: Callable[..., optax.GradientTransformation], passed: Collection[str] = ()
) -> Optimizer:
    """Return any Optax factory as an `Optimizer`.

    `factory` returns an `optax.GradientTransformation`. It takes the learning rate as
    `learning_rate` or as its first argument: a schedule, or else a number, in which case the
    factory is called at every step. Of "momentum" and "weight_decay", those in `passed` are passed
    by name; the others keep the factory's own default, or take the study's if it has none. An
    optimizer of this module is returned as it is.

    Raises UsageError if the factory does not take a number in `passed`, or if a training step with
    its optimizer cannot be traced.

    >>> adapt(optax.sgd, ["momentum"]).momentum
    'momentum'
    """
    if isinstance(factory, OptaxOptimizer):
        return factory
    label = names.name_of("optimizer", factory)
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError) as error:
        raise UsageError(f"{label} is not an optimizer: {error}; {_EXPECTED}") from None
    arguments = {n: n for n in _NUMBERS if _takes(label, parameters, n, n in passed)}
    with_schedule = OptaxOptimizer(
        factory,
        momentum=arguments.get("momentum"),
        weight_decay=arguments.get("weight_decay"),
        rate_by_name=_rate_by_name(label, parameters),
    )
    with_number = replace(with_schedule, rate_per_step=True)
    problem = _problem(with_schedule)
    if problem is None:
        return with_schedule
    if "keyword-only argument" in problem and "value" in problem:
        raise UsageError(
            f"{label} needs the value of the loss at each step, as line searches and "
            "reduce_on_plateau do; studies train with optimizers that use gradients alone"
        )
    problem_with_number = _problem(with_number)
    if problem_with_number is None:
        return with_number
    if problem_with_number != problem:
        problem = f"given a schedule, {problem}; given a number, {problem_with_number}"
    raise UsageError(f"{label} is not an optimizer: {problem}; {_EXPECTED}")


def in_float32(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return the optimizer with half-precision gradients, parameters and state in float32.

    In half precision small changes of the state are lost, and Adam's epsilon is 0 in float16.
    `optax.apply_updates` rounds to the dtype of the parameters.

    >>> params = {"kernel": jnp.ones(2, jnp.float16)}
    >>> in_float32(optax.adam(0.1)).init(params)[0].nu["kernel"].dtype.name
    'float32'
    """

    def wide(tree: Any) -> Any:
        return jax.tree.map(_wide, tree)

    def init(params: Any) -> Any:
        return optimizer.init(wide(params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        changes, state = optimizer.update(wide(updates), state, wide(params))
        return changes, state

    return optax.GradientTransformation(init, update)


def _wide(leaf: Array) -> Array:
    half = jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.dtype.itemsize < 4
    return leaf.astype(jnp.float32) if half else leaf


def _takes(
    label: str, parameters: Mapping[str, inspect.Parameter], number: str, passed: bool
) -> bool:
    """Whether to pass `number` to the factory; raises UsageError if it does not take it."""
    parameter = parameters.get(number)
    if parameter is not None:
        return passed or parameter.default is parameter.empty
    if passed and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        raise UsageError(
            f"optimizer {label} has no argument {number!r}, which the study sets; leave out the "
            f"factor {number!r}, or wrap the optimizer in a function of learning_rate and {number}"
        )
    return passed


def _rate_by_name(label: str, parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether the learning rate is the keyword `learning_rate`, not the first argument."""
    if "learning_rate" in parameters:
        return parameters["learning_rate"].kind is not inspect.Parameter.POSITIONAL_ONLY
    first = next(iter(parameters.values()), None)
    if first is None or first.name in _NUMBERS or first.kind is first.KEYWORD_ONLY:
        raise UsageError(f"{label} is not an optimizer: it takes no learning rate; {_EXPECTED}")
    return first.kind is first.VAR_KEYWORD


def _problem(optimizer: Optimizer) -> str | None:
    """Trace one step on small parameters; return why it fails, or None."""

    def step(rate: Array, momentum: Array, weight_decay: Array, params: Any) -> Any:
        transform = optimizer(lambda _: rate, momentum=momentum, weight_decay=weight_decay)
        state = transform.init(params)
        updates, next_state = transform.update(params, state, params)
        return state, next_state, optax.apply_updates(params, updates)

    number = jax.ShapeDtypeStruct((), jnp.float32)
    params = {"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}
    try:
        state, next_state, _ = jax.eval_shape(step, number, number, number, params)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    layouts = [
        (jax.tree.structure(tree), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)])
        for tree in (state, next_state)
    ]
    if layouts[0] != layouts[1]:
        return "its state changes structure, shape or dtype at the first step"
    return None


class _PerStepState(NamedTuple):
    step: Array
    optimizer: Any


def _per_step(
    build: Callable[[Any], optax.GradientTransformation], learning_rate: Schedule
) -> optax.GradientTransformation:
    """Build the transformation anew at every step, from that step's learning rate."""

    def init(params: Any) -> _PerStepState:
        return _PerStepState(jnp.int32(0), build(learning_rate(0)).init(params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, _PerStepState]:
        optimizer = build(learning_rate(state.step))
        updates, inner = optimizer.update(updates, state.optimizer, params)
        return updates, _PerStepState(state.step + 1, inner)

    return optax.GradientTransformation(init, update)
