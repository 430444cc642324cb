"""Modules of other libraries, recognized without importing these: Flax Linen and Equinox."""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx

from jcnn.adapters.arguments import extra_arguments, extra_values
from jcnn.adapters.equinox_state import plain, settable
from jcnn.adapters.function import FunctionModule


def is_linen(model: Any) -> bool:
    """Return whether `model` is a module of Flax Linen.

    >>> is_linen(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    False
    """
    linen = sys.modules.get("flax.linen")
    return linen is not None and isinstance(model, linen.Module)


def linen_of(function: Any) -> Any:
    """Return the Linen module whose `apply` a function is, as in a TrainState; None otherwise.

    >>> linen_of(len) is None
    True
    """
    module = getattr(function, "__self__", None)
    return module if is_linen(module) and function.__name__ == "apply" else None


def is_equinox(model: Any) -> bool:
    """Return whether `model` is a module of Equinox.

    >>> is_equinox(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    False
    """
    equinox = sys.modules.get("equinox")
    return equinox is not None and isinstance(model, equinox.Module)


def from_linen(model: Any, variables: Any, output: Any = None) -> FunctionModule:
    """Return a Linen module with its variables as a module of NNX.

    Its call gets the flags that it names, and collections such as "batch_stats" change with it.
    """
    names = extra_arguments(model.__call__)
    keys = [name for name in names if name == "rngs"]
    if "params" not in variables:
        variables = {"params": variables}

    def apply(variables: Any, *x: Any, rngs: nnx.Rngs, **flags: Any) -> Any:
        collections = [name for name in variables if name != "params"]
        streams = {"params": rngs()}  # which other collections fall back to
        if keys:
            flags = flags | {"rngs": rngs}
        return model.apply(variables, *x, rngs=streams, mutable=collections, **flags)

    extra = [*dict.fromkeys([*names, "rngs"])]
    return FunctionModule(apply, variables, output, extra=extra, stateful=True)


def from_equinox(model: Any, output: Any = None, *, state: Any = None) -> FunctionModule:
    """Return a module of Equinox, which maps one example, as a module of NNX, which maps a batch.

    If its call names `key`, it gets a key per example, and flags as a module of NNX does. In
    evaluation mode, it is the module of `equinox.nn.inference_mode`; so it is at first if some part
    of it is in that mode. A module with state (`equinox.nn.BatchNorm`) gets `state`, by default its
    initial one, which changes with its calls in training mode.

    Raises ValueError if there is no initial state, or if parts name different axes of the batch.
    """
    equinox = sys.modules["equinox"]
    takes_key = "key" in extra_arguments(model.__call__, always=True)
    names = [name for name in extra_arguments(model.__call__) if name != "key"]
    stateful = _has_state(model) or state is not None
    axis = _batch_axis(model)
    if stateful:
        state = _initial_state(model) if state is None else state
        model = equinox.nn.delete_init_state(model)

    def apply(tree: Any, *x: Any, train: bool, key: Any = None) -> Any:
        parameters, state = (tree["params"], tree["state"]) if stateful else (tree, None)
        model = equinox.nn.inference_mode(parameters, value=not train)
        flags = extra_values(names, train=train, rngs=None)
        # In evaluation, a batch of any size, whose examples draw nothing.
        keys = jax.random.split(key, len(x[0])) if takes_key and train else key

        def one(key: Any, *example: Any) -> Any:
            given = {**flags, "key": key} if takes_key else flags
            if not stateful:
                return model(*example, **given)
            outputs, after = model(*example, **given, state=settable(state))
            return outputs, plain(after)

        in_axes = (0 if takes_key and train else None, *[0] * len(x))
        out_axes = (0, None) if stateful else 0
        mapped = jax.vmap(one, in_axes, out_axes, axis_name=axis)
        if not stateful:
            return mapped(keys, *x)
        try:
            outputs, state = mapped(keys, *x)
        except ValueError as error:
            if "out_axes" not in str(error):
                raise
            raise ValueError(
                f"the state of {type(model).__name__} depends on the example; expected one for the "
                "batch, such as a mean over its axis_name"
            ) from error
        return outputs, {"state": state}

    module = FunctionModule(
        apply,
        {"params": model, "state": state} if stateful else model,
        output,
        extra=["train", *["key"] * takes_key],
        stateful=stateful,
    )
    parts = jax.tree.leaves(model, is_leaf=lambda part: hasattr(part, "inference"))
    if any(getattr(part, "inference", None) is True for part in parts):
        module.eval()
    return module


def is_stateful_pair(model: Any) -> bool:
    """Return whether `model` is `(module, state)`, as `equinox.nn.make_with_state` returns it.

    >>> is_stateful_pair((len, abs))
    False
    """
    pair = isinstance(model, tuple) and len(model) == 2 and is_equinox(model[0])
    return pair and isinstance(model[1], sys.modules["equinox"].nn.State)


def _initial_state(model: Any) -> Any:
    try:
        return sys.modules["equinox"].nn.State(model)
    except ValueError:
        raise ValueError(
            f"{type(model).__name__} has state (as eqx.nn.BatchNorm has), which is not given; give "
            "(model, state), as eqx.nn.make_with_state returns them"
        ) from None


def _has_state(model: Any) -> bool:
    """Whether a module of Equinox is called with a state: eqx.nn.Sequential takes one or none."""
    state = inspect.signature(model.__call__).parameters.get("state")
    index = sys.modules["equinox"].nn.StateIndex
    parts = jax.tree.leaves(model, is_leaf=lambda part: isinstance(part, index))
    required = state is not None and state.default is state.empty
    return required or any(isinstance(part, index) for part in parts)


def _batch_axis(model: Any) -> str | None:
    """Return the name that parts of a module give to the axis over which it is mapped."""
    parts = jax.tree.leaves(model, is_leaf=lambda part: hasattr(part, "axis_name"))
    found = {part.axis_name for part in parts if hasattr(part, "axis_name")}
    names = {
        name
        for axis in found
        for name in (axis if isinstance(axis, tuple) else (axis,))
        if isinstance(name, str)
    }
    if len(names) > 1:
        raise ValueError(
            f"the parts of {type(model).__name__} name the axes {', '.join(sorted(names))}; jcnn "
            "maps over one: give all parts the same axis_name, or call="
        )
    return next(iter(names), None)


def is_pair(model: Any) -> bool:
    """Return whether `model` is a pair of functions.

    >>> is_pair((len, abs)), is_pair([len])
    (True, False)
    """
    functions: Sequence[Callable[..., Any]] = model if isinstance(model, tuple) else ()
    return len(functions) == 2 and all(callable(function) for function in functions)


def is_built(model: Any) -> bool:
    """Return whether `model` is a module of any library, and no function that builds one.

    >>> is_built(nnx.Linear(2, 2, rngs=nnx.Rngs(0))), is_built(nnx.Linear)
    (True, False)
    """
    return is_network(model) or is_linen(model)


def is_network(model: Any) -> bool:
    """Return whether `model` is a module that holds its parameters.

    >>> is_network(nnx.Linear(2, 2, rngs=nnx.Rngs(0))), is_network(nnx.Linear)
    (True, False)
    """
    return isinstance(model, nnx.Module) or is_equinox(model)
