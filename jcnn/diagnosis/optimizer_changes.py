"""What an optimizer would change, given the gradients of a traced model's leaves."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from jcnn.adapters import Called, FunctionModule


class OptimizerChanges:
    """The changes that an optimizer makes to a model's trained leaves, by their index.

    `optimizer` is an Optax transformation with an optional `state` (by default its first), or the
    `nnx.Optimizer` of a running training.
    """

    def __init__(
        self,
        model: nnx.Module,
        optimizer: Any,
        state: Any = None,
    ) -> None:
        trained: Any = nnx.Param
        if isinstance(optimizer, nnx.Optimizer):
            trained, state = optimizer.wrt, optimizer.opt_state
            optimizer = optimizer.tx
        self._transformation = optimizer
        self._state = pure_state(state)
        indices = {path: index for index, path in enumerate(_paths(nnx.state(model)))}
        self._trees = [
            ([indices[path] for path in paths], structure)
            for paths, structure in _own_trees(model, trained)
        ]

    def __call__(
        self, gradients: Mapping[int, Array], leaves: Sequence[Any], state: Any = None
    ) -> list[Array]:
        """Return the change of each leaf in `gradients`, in the same order.

        `state` is the optimizer's present one (by default, the one from the start), as `pure_state`
        returns it.
        """
        if state is None:
            state = self._state
        for indices, structure in self._trees:
            params = jax.tree.unflatten(structure, [leaves[index] for index in indices])
            first: Any = jax.eval_shape(self._transformation.init, params)
            expected: Any = jax.tree.structure(first)
            if state is None or expected == jax.tree.structure(state):
                if state is None:
                    state = self._transformation.init(params)
                return changes_by_leaf(self._transformation, state, params, indices, gradients)
        raise ValueError(
            "optimizer_state does not fit the parameters: it is that of another optimizer, or of "
            "another tree of parameters"
        )


def pure_state(optimizer_state: Any) -> Any:
    """Return an optimizer's state without Flax's variables, given it or the `nnx.Optimizer`."""
    if isinstance(optimizer_state, optax.GradientTransformation):
        raise ValueError("optimizer_state is an optimizer; expected its state, as init returns it")
    if isinstance(optimizer_state, nnx.Optimizer):
        optimizer_state = optimizer_state.opt_state
    return None if optimizer_state is None else nnx.as_pure(optimizer_state)


def param_indices(model: nnx.Module, trained: Any = nnx.Param) -> list[int]:
    """Return, for each leaf of the trained parameters, its index in the model's whole state.

    `trained` is a filter of Flax.
    """
    indices = {path: index for index, path in enumerate(_paths(nnx.state(model)))}
    return [indices[path] for path in _paths(nnx.state(model, trained))]


def _own_trees(model: nnx.Module, trained: Any) -> list[tuple[list[tuple[Any, ...]], Any]]:
    """Return the trees in which an optimizer may have a model's parameters: paths and structure.

    An optimizer knows nothing of the modules that `jcnn.adapt` puts around a network.
    """
    if isinstance(model, FunctionModule):
        return [([*paths], structure) for paths, structure in model.trees()]
    if isinstance(model, Called):
        trees = _own_trees(model.model, trained)
        return [([("model", *path) for path in paths], structure) for paths, structure in trees]
    state = nnx.state(model, trained)
    return [(_paths(state), jax.tree.structure(nnx.as_pure(state)))]


def _paths(state: Any) -> list[tuple[Any, ...]]:
    leaves = jax.tree.leaves_with_path(nnx.as_pure(state))
    return [tuple(getattr(key, "key", key) for key in path) for path, _ in leaves]


def changes_by_leaf(
    optimizer: Any,
    state: Any,
    params: Any,
    indices: Sequence[int],
    gradients: Mapping[int, Array],
) -> list[Array]:
    """Return an optimizer's change of each leaf in `gradients`, in the same order.

    `indices` are those of the leaves of `params`; leaves that are not among them do not change.
    """
    leaves, structure = jax.tree.flatten(params)
    by_param = [
        gradients[index] if index in gradients else jnp.zeros(leaf.shape, leaf.dtype)
        for index, leaf in zip(indices, leaves, strict=True)
    ]
    changes, _ = optimizer.update(jax.tree.unflatten(structure, by_param), state, params)
    by_index = dict(zip(indices, jax.tree.leaves(changes), strict=True))
    return [by_index.get(index, jnp.zeros_like(value)) for index, value in gradients.items()]
