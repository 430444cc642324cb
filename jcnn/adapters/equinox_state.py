"""The state of a module of Equinox, in a form that can be set inside any transformation of JAX."""

import functools
import sys
from typing import Any

import jax
import jax.numpy as jnp


def settable(state: Any) -> Any:
    """Return a copy of an `equinox.nn.State` whose `set` compares shapes and dtypes only.

    Equinox compares shardings too, and inside `jax.shard_map` a constant, such as the flag that
    `equinox.nn.BatchNorm` sets, has another one than the array that it replaces.
    """
    return _with_values(_settable_type(), state)


def plain(state: Any) -> Any:
    """Return a copy as an `equinox.nn.State` again."""
    return _with_values(sys.modules["equinox"].nn.State, state)


def _with_values(kind: type, state: Any) -> Any:
    result: Any = object.__new__(kind)
    result._state = dict(state._state)
    return result


@functools.cache
def _settable_type() -> type:
    base: Any = sys.modules["equinox"].nn.State

    class SettableState(base):
        def set(self, item: Any, value: Any) -> Any:
            old, new = self.get(item), jax.tree.map(jnp.asarray, value)
            if _forms(old) != _forms(new):
                return super().set(item, value)  # which says what differs
            result = _with_values(SettableState, self)
            result._state[item.marker] = new
            return result

    def unflatten(markers: Any, values: Any) -> Any:
        state: Any = object.__new__(SettableState)
        state._state = dict(zip(markers, values, strict=True))
        return state

    jax.tree_util.register_pytree_node(
        SettableState, lambda state: (tuple(state._state.values()), tuple(state._state)), unflatten
    )
    return SettableState


def _forms(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
