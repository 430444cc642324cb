"""Modules of other libraries, recognized without importing these: Flax Linen and Equinox."""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx

from jcnn.adapters.arguments import extra_arguments, extra_values
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


def from_equinox(model: Any, output: Any = None) -> FunctionModule:
    """Return a module of Equinox, which maps one example, as a module of NNX, which maps a batch.

    If its call names `key`, it gets a key per example, and flags as a module of NNX does. In
    evaluation mode, it is the module of `equinox.nn.inference_mode`; so it is at first if some part
    of it is in that mode.

    Raises ValueError for a module with state.
    """
    if _has_state(model):
        raise ValueError(
            f"{type(model).__name__} has state (as eqx.nn.BatchNorm has), which is not carried on; "
            "give call=, or a normalization without state"
        )
    takes_key = "key" in extra_arguments(model.__call__, always=True)
    names = [name for name in extra_arguments(model.__call__) if name != "key"]

    def apply(parameters: Any, *x: Any, train: bool, key: Any = None) -> Any:
        model = sys.modules["equinox"].nn.inference_mode(parameters, value=not train)
        flags = extra_values(names, train=train, rngs=None)
        if takes_key and not train:
            flags = {**flags, "key": key}  # a batch of any size, whose examples draw nothing
        if not (takes_key and train):
            return jax.vmap(lambda *each: model(*each, **flags))(*x)
        keys = jax.random.split(key, len(x[0]))
        return jax.vmap(lambda key, *each: model(*each, key=key, **flags))(keys, *x)

    module = FunctionModule(apply, model, output, extra=["train", *["key"] * takes_key])
    parts = jax.tree.leaves(model, is_leaf=lambda part: hasattr(part, "inference"))
    if any(getattr(part, "inference", None) is True for part in parts):
        module.eval()
    return module


def _has_state(model: Any) -> bool:
    """Whether a module of Equinox is called with a state: eqx.nn.Sequential takes one or none."""
    state = inspect.signature(model.__call__).parameters.get("state")
    index = sys.modules["equinox"].nn.StateIndex
    parts = jax.tree.leaves(model, is_leaf=lambda part: isinstance(part, index))
    required = state is not None and state.default is state.empty
    return required or any(isinstance(part, index) for part in parts)


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
