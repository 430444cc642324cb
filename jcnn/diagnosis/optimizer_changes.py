"""What an optimizer would change, given the gradients of a traced model's leaves."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array


class OptimizerChanges:
    """The changes that an optimizer makes to a model's trained leaves, by their index.

    `optimizer` is an Optax transformation with an optional `state` (by default its first), or the
    `nnx.Optimizer` of a running training.
    """

    def __init__(
        self,
        model: nnx.Module,
        optimizer: optax.GradientTransformation | nnx.Optimizer[Any],
        state: Any = None,
    ) -> None:
        trained: Any = nnx.Param
        if isinstance(optimizer, nnx.Optimizer):
            trained, state = optimizer.wrt, optimizer.opt_state
            optimizer = optimizer.tx
        self._transformation = optimizer
        self._state = None if state is None else nnx.as_pure(state)
        indices = {
            jax.tree_util.keystr(path): index
            for index, (path, _) in enumerate(
                jax.tree.leaves_with_path(nnx.as_pure(nnx.state(model)))
            )
        }
        params = nnx.as_pure(nnx.state(model, trained))
        paths, self._structure = jax.tree.flatten_with_path(params)
        self._indices = [indices[jax.tree_util.keystr(path)] for path, _ in paths]

    def __call__(self, gradients: Mapping[int, Array], leaves: Sequence[Any]) -> list[Array]:
        """Return the change of each leaf in `gradients`, in the same order."""
        params = self._tree([leaves[index] for index in self._indices])
        by_param = self._tree(
            [
                gradients[index] if index in gradients else jnp.zeros_like(leaves[index])
                for index in self._indices
            ]
        )
        state = self._transformation.init(params) if self._state is None else self._state
        changes, _ = self._transformation.update(by_param, state, params)
        by_index = dict(zip(self._indices, jax.tree.leaves(changes), strict=True))
        return [
            by_index[index] if index in by_index else jnp.zeros_like(leaves[index])
            for index in gradients
        ]

    def _tree(self, values: Sequence[Any]) -> Any:
        return jax.tree.unflatten(self._structure, values)
