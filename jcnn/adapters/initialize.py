"""What a function that builds a network returned, with its first parameters, as a module of NNX."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx

from jcnn.adapters.adapt import adapt
from jcnn.adapters.arguments import extra_arguments, extra_values
from jcnn.adapters.library_modules import is_linen, is_network, is_pair, is_stateful_pair


def initialize(
    model: Any,
    input_shape: Sequence[int],
    rngs: nnx.Rngs,
    *,
    call: Callable[..., Any] | None = None,
    output: Callable[[Any], Any] | str | int | None = None,
) -> nnx.Module:
    """Return a network as a module of NNX, with initial parameters from `rngs`.

    It may be a module of NNX, Linen or Equinox, one of Equinox with its state, or a pair `(init,
    apply)` of functions, as Haiku has them: ``parameters = init(key, x)`` and ``apply(parameters,
    x)``. `call` and `output` are those of `jcnn.adapt`.

    Raises TypeError if it is nothing of this.

    >>> import jax
    >>> def init(key, x):
    ...     return {"w": jax.random.normal(key, (x.shape[-1], 2))}
    >>> def apply(parameters, x):
    ...     return x @ parameters["w"]
    >>> initialize((init, apply), (3,), nnx.Rngs(0))(jnp.ones((5, 3))).shape
    (5, 2)
    """
    example, params = jnp.zeros((1, *input_shape), jnp.float32), None
    if is_linen(model):
        names = [name for name in extra_arguments(model.__call__) if name != "rngs"]
        keys = {"params": rngs.params(), "dropout": rngs()}
        params = model.init(keys, example, **extra_values(names, train=False, rngs=rngs))
    elif is_stateful_pair(model):
        model, params = model
    elif is_pair(model):
        init, model = model
        params = init(rngs.params(), example)
    elif not is_network(model):
        raise TypeError(
            f"it returned a {type(model).__name__}; expected a module of Flax NNX, Linen or "
            "Equinox, or a pair (init, apply)"
        )
    return adapt(model, params, call=call, output=output)
