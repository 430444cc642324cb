"""A function of parameters and a batch, as a module whose variables are the parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.tree_util import DictKey, FlattenedIndexKey, GetAttrKey, SequenceKey

from jcnn.adapters.arguments import draws, extra_arguments, extra_values, second_argument
from jcnn.adapters.called import select


class FunctionModule(nnx.Module):
    """`function(parameters, x)` as a module: its variables are the arrays of a tree of parameters.

    Floating arrays are `nnx.Param`s, those of a collection beside "params" (as Flax Linen has
    them) other variables. The function gets the flags and keys that `jcnn.adapters.Called`
    describes.

    >>> def network(parameters, x):
    ...     return jnp.tanh(x @ parameters["first"]["w"]) @ parameters["last"]["w"]
    >>> weights = {"first": {"w": jnp.ones((4, 3))}, "last": {"w": jnp.ones((3, 2))}}
    >>> module = FunctionModule(network, weights)
    >>> module(jnp.ones((5, 4))).shape, sorted(nnx.state(module, nnx.Param)["params"])
    ((5, 2), ['first', 'last'])
    """

    # Layers are the uses of weights, named by the path of these.
    layers_by_path = True

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: Any,
        output: Callable[[Any], Any] | str | int | None = None,
        *,
        extra: Sequence[str] | None = None,
        stateful: bool = False,
    ) -> None:
        """`extra` are names of flags and keys to pass, by default those that the function names.

        A `stateful` function returns `(outputs, changes)`: the parts of the tree that changed,
        which is one of collections.
        """
        leaves, self.structure = jax.tree.flatten(parameters)
        paths = [path for path, _ in jax.tree.leaves_with_path(parameters)]
        is_array = [isinstance(leaf, (jax.Array, np.ndarray)) for leaf in leaves]
        self.constants = tuple(
            None if array else leaf for leaf, array in zip(leaves, is_array, strict=True)
        )
        self.paths = tuple(
            (tuple(map(_part, path)) or ("w",)) if array else ()
            for path, array in zip(paths, is_array, strict=True)
        )
        collections = isinstance(parameters, Mapping) and (
            stateful or isinstance(parameters.get("params"), Mapping)
        )
        self.hidden_path = ("params", "params") if collections else ("params",)
        tree: dict[str, Any] = {}
        for path, leaf, array in zip(self.paths, leaves, is_array, strict=True):
            if array:
                value = jnp.asarray(leaf)
                trained = jnp.issubdtype(value.dtype, jnp.floating)
                trained &= not collections or path[0] == "params"
                _insert(tree, path, nnx.Param(value) if trained else nnx.Variable(value))
        self.params = nnx.data(tree)
        self.function, self.output, self.stateful = function, output, stateful
        self.extra = tuple(extra_arguments(function) if extra is None else extra)
        # Haiku's functions have the key between parameters and inputs.
        self.second = tuple(name for name in self.extra if name == second_argument(function))
        if draws([*self.extra]):
            self.rngs = nnx.Rngs(0)
        self.deterministic = False

    def __call__(self, *x: Any) -> Any:
        """Apply the function to a batch."""
        rngs = getattr(self, "rngs", None)
        extra = dict(extra_values([*self.extra], train=not self.deterministic, rngs=rngs))
        second = [extra.pop(name) for name in self.second]
        outputs = self.function(self.parameters, *second, *x, **extra)
        if self.stateful:
            outputs, changes = outputs
            for path, value in jax.tree.leaves_with_path(changes):
                names = tuple(map(_part, path))
                if names in self.paths:
                    _get(self.params, names).set_value(value)
        return select(outputs, self.output)

    def trees(self) -> list[tuple[list[tuple[str, ...]], Any]]:
        """Return the trees that an optimizer may have been given: paths of variables, structure.

        The trained parameters (of collections, the one named "params"), with None for the others;
        then all of the tree.
        """
        found = []
        for whole in (False, True):
            kept = [
                path if path and (whole or self._is_trained(path)) else () for path in self.paths
            ]
            tree = jax.tree.unflatten(self.structure, [object() if path else None for path in kept])
            part = tree["params"] if len(self.hidden_path) > 1 and not whole else tree
            found.append(([("params", *path) for path in kept if path], jax.tree.structure(part)))
        return found

    def _is_trained(self, path: Sequence[str]) -> bool:
        return isinstance(_get(self.params, path), nnx.Param)

    @property
    def parameters(self) -> Any:
        """The present parameters, in the tree in which they were given."""
        leaves = [
            _get(self.params, path).get_value() if path else constant
            for path, constant in zip(self.paths, self.constants, strict=True)
        ]
        return jax.tree.unflatten(self.structure, leaves)


def _part(key: Any) -> str:
    if isinstance(key, (DictKey, FlattenedIndexKey)):
        return str(key.key)
    if isinstance(key, SequenceKey):
        return str(key.idx)
    return str(key.name) if isinstance(key, GetAttrKey) else str(key)


def _insert(tree: Any, path: Sequence[str], variable: nnx.Variable) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = variable


def _get(tree: Any, path: Sequence[str]) -> Any:
    for part in path:
        tree = tree[part]
    return tree
