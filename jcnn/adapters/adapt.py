"""`jcnn.adapt`: any network as a module that maps a batch to one array."""

from collections.abc import Callable, Mapping
from typing import Any

from flax import nnx

from jcnn.adapters.arguments import extra_arguments
from jcnn.adapters.called import Called
from jcnn.adapters.function import FunctionModule
from jcnn.adapters.library_modules import (
    from_equinox,
    from_linen,
    is_equinox,
    is_linen,
    is_stateful_pair,
    linen_of,
)


def adapt(
    model: Any,
    params: Any = None,
    *,
    call: Callable[..., Any] | None = None,
    output: Callable[[Any], Any] | str | int | None = None,
) -> nnx.Module:
    """Return a network as an `nnx.Module` that is called with a batch and returns one array.

    `model` is a module of Flax NNX or Equinox, a module of Flax Linen with its variables as
    `params`, a pair of a module of Equinox and its state, or a function `model(params, x)` of any
    tree of parameters. Its call gets a flag `train`, `training`, `is_training`, `deterministic` or
    `inference`, and `rngs`, `key` or `rng`, if it has such an argument. For any other convention,
    `call(model, x)` calls it, or `call(model, params, x)` if it has `params`, with those of these
    arguments that `call` names. A `call` of a Linen module may return `(outputs, changes)`, as
    `apply(mutable=...)` does; changed collections such as "batch_stats" are kept. `output` selects
    one of several outputs: a function, or a key, an attribute or an index.

    A module of NNX that needs nothing of this is returned as it is. The result shares its
    variables.

    Raises ValueError if `params` are missing, or `model` is nothing of this.

    >>> import jax, jax.numpy as jnp
    >>> def network(params, x):
    ...     hidden = jax.nn.relu(x @ params["first"])
    ...     return hidden @ params["last"], hidden
    >>> params = {"first": jnp.ones((4, 8)), "last": jnp.ones((8, 3))}
    >>> adapt(network, params, output=0)(jnp.ones((2, 4))).shape
    (2, 3)
    """
    if is_stateful_pair(model) and params is None:
        model, params = model
    if isinstance(model, nnx.Module):
        if params is not None:
            raise ValueError("a module of NNX holds its parameters; give it without `params`")
        if call is None and output is None and not extra_arguments(model.__call__):
            return model
        return model if isinstance(model, (Called, FunctionModule)) else Called(model, call, output)
    if is_equinox(model):
        if call is None:
            return from_equinox(model, output, state=params)
        return FunctionModule(call, model, output, extra=extra_arguments(call, always=True))
    if linen_of(model) is not None:
        model = linen_of(model)
    kind = type(model).__name__
    if not (is_linen(model) or callable(model)):
        raise ValueError(
            f"model is a {kind}; expected a module of Flax or Equinox, or a function of parameters "
            "and inputs"
        )
    if params is None:
        raise ValueError(f"{kind} holds no parameters; give these as well: (model, params, x, y)")
    if call is not None:

        def called(params: Any, *x: Any, **extra: Any) -> Any:
            return call(model, params, *x, **extra)

        names = extra_arguments(call, always=True)
        if not is_linen(model):
            return FunctionModule(called, params, output, extra=names)
        variables = params if "params" in params else {"params": params}

        def stateful(variables: Any, *x: Any, **extra: Any) -> Any:
            outputs = called(variables, *x, **extra)
            changes: Any = outputs[-1] if isinstance(outputs, tuple) else None
            if isinstance(changes, Mapping) and changes and changes.keys() <= variables.keys():
                return outputs[0], changes
            return outputs, {}

        return FunctionModule(stateful, variables, output, extra=names, stateful=True)
    if is_linen(model):
        return from_linen(model, params, output)
    return FunctionModule(model, params, output)
