"""A model as a pure function of its state, in training and in evaluation mode.

A model is split once into its static part and its state. The functions here merge it again inside,
at the trace level of the caller, so they work under `jax.jit`, `vmap`, `lax.map`, `while_loop` and
`shard_map`, and a model may use its own transformations (`nnx.remat`, `nnx.scan`, `nnx.jit`).
Convolutions and pooling of any library are replaced by jcnn's (`jcnn.accelerate`).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn.acceleration import accelerate_traced
from jcnn.training.state import Structure


def split_model(model: nnx.Module) -> tuple[Structure, Any, Any]:
    """Return `(structure, params, rest)` of a model.

    `rest` is the state that is not `nnx.Param`: batch statistics, random keys and so on.

    >>> from jcnn import models
    >>> _, params, rest = split_model(models.mlp((4,), 2, hidden=(8,), rngs=nnx.Rngs(0)))
    >>> sorted(params)
    ['dense_hidden1', 'output']
    """
    model.eval()
    evaluate, *_ = nnx.split(model, nnx.Param, ...)
    model.train()
    train, params, rest = nnx.split(model, nnx.Param, ...)
    return Structure(train, evaluate), params, rest


def apply_train(structure: Structure, params: Any, rest: Any, inputs: Any) -> tuple[Array, Any]:
    """Return the outputs in training mode, and the state that is not `nnx.Param` after the call.

    The state keeps its structure, shapes and dtypes, as a loop requires: variables that the call
    creates are dropped, and values of another dtype are cast. An `nnx.Intermediate` (`sow`) stays
    as it was. Raises ValueError if a variable's value changes its shape.
    """

    def apply(params: Any, rest: Any, inputs: Any) -> tuple[Array, Any]:
        model = nnx.merge(structure.train, params, rest, copy=True)
        outputs: Array = model(inputs)
        after = dict(nnx.to_flat_state(nnx.state(model, nnx.Not(nnx.Param))))
        kept = [
            (path, _carried(path, before, after.get(path, before)))
            for path, before in nnx.to_flat_state(rest)
        ]
        return outputs, nnx.from_flat_state(kept, cls=type(rest))

    return accelerate_traced(apply)(params, rest, inputs)


def apply_eval(structure: Structure, params: Any, rest: Any, inputs: Array) -> Array:
    """Return the outputs in evaluation mode; changes of state are dropped."""

    def apply(params: Any, rest: Any, inputs: Array) -> Array:
        outputs: Array = nnx.merge(structure.evaluate, params, rest, copy=True)(inputs)
        return outputs

    return accelerate_traced(apply)(params, rest, inputs)


def _carried(path: tuple[Any, ...], before: Any, after: Any) -> Any:
    """Return a variable with its value after a call, in the dtype from before."""
    if isinstance(before, nnx.Intermediate):
        return before
    old, new = (jax.tree.flatten(variable) for variable in (before, after))
    shapes = [[jnp.shape(leaf) for leaf in leaves] for leaves, _ in (old, new)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"the model changes the shape of its state {'.'.join(map(str, path))} in a training "
            f"step, from {shapes[0]} to {shapes[1]}; a compiled loop needs a constant shape"
        )
    leaves = [_cast(a, b) for a, b in zip(new[0], old[0], strict=True)]
    return jax.tree.unflatten(old[1], leaves)


def _cast(value: Any, like: Any) -> Array:
    value, dtype = jnp.asarray(value), jnp.asarray(like).dtype
    return value if value.dtype == dtype else value.astype(dtype)
