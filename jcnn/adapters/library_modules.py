"""Modules of other libraries, recognized without importing these: Flax Linen and Equinox."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx

from jcnn.adapters.arguments import extra_arguments
from jcnn.adapters.function import FunctionModule


def is_linen(model: Any) -> bool:
    """Return whether `model` is a module of Flax Linen.

    >>> is_linen(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    False
    """
    linen = sys.modules.get("flax.linen")
    return linen is not None and isinstance(model, linen.Module)


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

    def apply(variables: Any, *x: Any, rngs: nnx.Rngs, **flags: Any) -> Any:
        collections = [name for name in variables if name != "params"]
        streams = {"dropout": rngs()}
        if keys:
            flags = flags | {"rngs": rngs}
        return model.apply(variables, *x, rngs=streams, mutable=collections, **flags)

    extra = [*dict.fromkeys([*names, "rngs"])]
    return FunctionModule(apply, variables, output, extra=extra, stateful=True)


def from_equinox(model: Any, output: Any = None) -> FunctionModule:
    """Return a module of Equinox, which maps one example, as a module of NNX, which maps a batch.

    If its call names `key`, it gets a key per example. In evaluation mode, it is the module of
    `equinox.nn.inference_mode`.
    """
    takes_key = "key" in extra_arguments(model.__call__, always=True)

    def apply(parameters: Any, *x: Any, train: bool, **extra: Any) -> Any:
        model = sys.modules["equinox"].nn.inference_mode(parameters, value=not train)
        if not takes_key:
            return jax.vmap(model)(*x)
        keys = jax.random.split(extra["key"], len(x[0]))
        return jax.vmap(lambda key, *each: model(*each, key=key))(keys, *x)

    return FunctionModule(apply, model, output, extra=["train", *["key"] * takes_key])


def is_pair(model: Any) -> bool:
    """Return whether `model` is a pair of functions.

    >>> is_pair((len, abs)), is_pair([len])
    (True, False)
    """
    functions: Sequence[Callable[..., Any]] = model if isinstance(model, tuple) else ()
    return len(functions) == 2 and all(callable(function) for function in functions)


def is_network(model: Any) -> bool:
    """Return whether `model` is a module that holds its parameters.

    >>> is_network(nnx.Linear(2, 2, rngs=nnx.Rngs(0))), is_network(nnx.Linear)
    (True, False)
    """
    return isinstance(model, nnx.Module) or is_equinox(model)
