"""The weighted layers of any `nnx.Module` in its traced program, and the activations after them.

The model is traced once, unchanged; its layers' calls are named in the program on the way
(`jcnn.tracing.calls`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jcnn.tracing.activation import TracedActivation
from jcnn.tracing.calls import Call, Path, recorded_calls
from jcnn.tracing.find_activations import find_activations
from jcnn.tracing.program import Program, Var, flatten


class TracedLayer(NamedTuple):
    """One call of a layer with weights, and the activation that follows it before the next call.

    `input`, `weighted` and `output` are variables of the program: the layer's input, its output,
    and the output of the activation (`weighted` again if there is none). `kernels` and `params`
    are indices of the model's leaves: its arrays of two or more axes, and its `nnx.Param`s.
    """

    name: str
    kind: str
    input: Var
    weighted: Var
    output: Var
    activation: TracedActivation | None
    kernels: Sequence[int]
    params: Sequence[int]


class TracedModel(NamedTuple):
    """A model's program for one batch, and its layers in the order of their calls.

    The inputs of the program are `leaves`, those of the model's state, then the batch. `params` are
    the indices of all leaves that are trained (`nnx.Param`). `unseen` are the paths of layers with
    weights that are not called, or only inside a loop.
    """

    program: Program
    layers: Sequence[TracedLayer]
    leaves: Sequence[Any]
    params: Sequence[int]
    unseen: Sequence[str]


def trace(model: nnx.Module, x: Any, *, activations: bool = True) -> TracedModel:
    """Trace `model(x)` for a batch `x`, or for its shape and dtype.

    If `activations` is false, none is searched for: every layer ends with its own output.

    Raises ValueError if the model does not return a single array, or has no layer with weights.

    >>> model = nnx.Sequential(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), nnx.relu)
    >>> (layer,) = trace(model, jnp.ones((2, 4))).layers
    >>> layer.name, layer.kind, layer.activation.name()
    ('layers.0', 'Linear', 'relu')
    """
    graph, state = nnx.split(model)
    leaves, structure = jax.tree.flatten(state)
    kernels, params = _variables(model, state)
    calls: list[Call] = []

    def forward(leaves: Sequence[Any], x: Any) -> Any:
        copy = nnx.merge(graph, jax.tree.unflatten(structure, leaves))
        with recorded_calls(copy, kernels.keys()) as recorded:
            output = copy(x)
        calls[:] = recorded
        return output

    closed, shape = jax.make_jaxpr(forward, return_shape=True)(leaves, x)
    if not hasattr(shape, "shape"):
        raise ValueError(
            f"the model returns a {type(shape).__name__}; expected one array of outputs "
            "(batch, ...): wrap the model in one that returns only them"
        )
    if not calls:
        raise ValueError(
            "the model calls no layer with weights (an nnx.Module with a variable of two or more "
            "axes), so there is nothing to diagnose"
        )
    program = flatten(closed)
    layers = _layers(program, calls, kernels, params, activations)
    seen = {tuple(layer.kernels) for layer in layers}
    unseen = [
        ".".join(map(str, path)) for path, indices in kernels.items() if tuple(indices) not in seen
    ]
    trained = sorted(index for indices in params.values() for index in indices)
    return TracedModel(program, layers, leaves, trained, unseen)


def _variables(
    model: nnx.Module, state: Any
) -> tuple[dict[Path, list[int]], dict[Path, list[int]]]:
    """Return the indices of kernels (two axes or more), and of `nnx.Param`s, by module path."""
    kernels: dict[Path, list[int]] = {}
    params: dict[Path, list[int]] = {}
    no_weights = (nnx.BatchStat, nnx.RngState)
    modules = [path for path, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)]
    flat, _ = jax.tree.flatten_with_path(state, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))
    for index, (keys, variable) in enumerate(flat):
        path = tuple(getattr(key, "key", getattr(key, "name", None)) for key in keys)
        # Parameters in a list or mapping belong to the module that holds it.
        holder = max((m for m in modules if path[: len(m)] == m and _callable(model, m)), key=len)
        value = variable.get_value() if isinstance(variable, nnx.Variable) else variable
        floating = jnp.issubdtype(value.dtype, jnp.floating)
        if floating and value.ndim >= 2 and not isinstance(variable, no_weights):
            kernels.setdefault(holder, []).append(index)
        if floating and isinstance(variable, nnx.Param):
            params.setdefault(holder, []).append(index)
    return kernels, params


def _callable(model: nnx.Module, path: Path) -> bool:
    """Whether the module at `path` can be called (an `nnx.List` or `nnx.Dict` cannot)."""
    node: Any = model
    for key in path:
        node = node[key] if isinstance(node, (nnx.List, nnx.Dict)) else getattr(node, key)
    return callable(node)


def _layers(
    program: Program,
    calls: Sequence[Call],
    kernels: Mapping[Path, Sequence[int]],
    params: Mapping[Path, Sequence[int]],
    activations: bool,
) -> list[TracedLayer]:
    variables = program.named_variables()
    positions = program.positions()
    # A call inside a loop or a branch is not an equation of the flat program.
    outer = {call: variables[call.output_name] for call in calls if call.output_name in variables}
    outer = dict(sorted(outer.items(), key=lambda item: positions[item[1]]))
    starts = [*(positions[weighted] for weighted in outer.values()), len(program.equations)]
    candidates = find_activations(program, [program.inputs[-1]]) if activations else []
    layers = []
    for (call, weighted), start, end in zip(outer.items(), starts, starts[1:], strict=False):
        dependents = program.dependents([weighted])
        activation = next(
            (
                candidate
                for candidate in candidates
                if start < positions[candidate.output] < end
                and candidate.output in dependents
                and _same_features(candidate.shape, program.avals[weighted].shape)
            ),
            None,
        )
        layers.append(
            TracedLayer(
                name=call.label,
                kind=call.kind,
                input=variables[call.input_name],
                weighted=weighted,
                output=activation.output if activation else weighted,
                activation=activation,
                kernels=kernels[call.path],
                params=params.get(call.path, []),
            )
        )
    return layers


def _same_features(shape: Sequence[int], weighted: Sequence[int]) -> bool:
    """Whether values of `shape` are the layer's features for each example, possibly pooled.

    The statistics of a normalization, which are clamped too (a variance is at least 0), are not.
    """
    ends = (shape[0], shape[-1]) == (weighted[0], weighted[-1]) if shape else False
    return ends and len(shape) == len(weighted)
