"""A call's arguments: arrays that are traced, and what stays as it is."""

import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

Values = list[Any]


class Call(NamedTuple):
    """A call as a function of a list of arrays.

    `run` maps `arrays` to the outputs and the state of the modules among the arguments; `finish`
    takes both, flattened, and their structure. `key` identifies everything but the arrays' values.
    """

    arrays: Values
    key: Hashable
    is_hashable: bool
    run: Callable[[Values], Any]
    finish: Callable[[Values, Any], Any]


def flatten_call(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Call:
    """Return a call of a function as a function of its arrays.

    The function itself counts as an argument if it is a module, or holds arrays as a pytree.
    """
    leaves, structure = jax.tree.flatten((_Held(function), args, kwargs), is_leaf=_is_module)
    modules = [leaf for leaf in leaves if _is_module(leaf)]
    places = [i for i, leaf in enumerate(leaves) if _is_array(leaf)]
    fixed = [None if _is_array(x) or _is_module(x) else x for x in leaves]
    graph, state = _split(modules)
    values, state_structure = jax.tree.flatten(state)
    arrays = [*(leaves[i] for i in places), *values]

    def run(arrays: Values) -> Any:
        filled = list(fixed)
        for place, value in zip(places, arrays, strict=False):
            filled[place] = value
        copies = _merge(graph, jax.tree.unflatten(state_structure, arrays[len(places) :]))
        rest = iter(copies)
        filled = [
            next(rest) if _is_module(leaf) else value
            for leaf, value in zip(leaves, filled, strict=True)
        ]
        held, args, kwargs = jax.tree.unflatten(structure, filled)
        outputs = held.function(*args, **kwargs)
        return outputs, _split(copies)[1]

    def finish(outputs: Values, result_structure: Any) -> Any:
        result, after = jax.tree.unflatten(result_structure, outputs)
        if any(new is not old for new, old in zip(jax.tree.leaves(after), values, strict=False)):
            _update(modules, after)
        return result

    static = tuple((type(value), value) for value in fixed)
    types = tuple(jax.typeof(array) for array in arrays)
    key = (structure, static, graph, state_structure, types)
    try:
        hash(key)
    except TypeError:
        return Call(arrays, None, False, run, finish)
    return Call(arrays, key, True, run, finish)


class _Held:
    """A function as a pytree, so that the arrays which it holds count among the arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


jax.tree_util.register_pytree_node(
    _Held, lambda held: ((held.function,), None), lambda _, children: _Held(*children)
)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic))


def _is_module(leaf: Any) -> bool:
    """Whether a leaf is a module or variable of Flax NNX, which has references and state."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(leaf, (nnx.Module, nnx.Variable, nnx.Rngs, nnx.Optimizer))


def _split(modules: Sequence[Any]) -> tuple[Any, Any]:
    if not modules:
        return None, None
    nnx = sys.modules["flax.nnx"]
    graph, state = nnx.split(list(modules))
    return graph, state


def _merge(graph: Any, state: Any) -> Sequence[Any]:
    if graph is None:
        return []
    merged: Sequence[Any] = sys.modules["flax.nnx"].merge(graph, state)
    return merged


def _update(modules: Sequence[Any], state: Any) -> None:
    sys.modules["flax.nnx"].update(list(modules), state)
