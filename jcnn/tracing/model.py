"""The weighted layers of any `nnx.Module` in its traced program, and the activations after them.

The model is traced once, unchanged; its layers' calls are marked in the program on the way
(`jcnn.tracing.calls`). Parameters that are used without a call of their layer, by a method of
another name or in a function, are found by the equations that read them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
from flax import nnx

from jcnn.tracing.activation import TracedActivation
from jcnn.tracing.calls import marked_calls
from jcnn.tracing.find_activations import find_activations
from jcnn.tracing.flatten import flatten
from jcnn.tracing.interpreter import read
from jcnn.tracing.parameters import find_parameters
from jcnn.tracing.program import Program, Var
from jcnn.tracing.uses import Use, find_uses


class TracedLayer(NamedTuple):
    """One call of a layer with weights, and the activation that follows it before the next call.

    `input`, `weighted` and `output` are variables of the program: the layer's input, its output,
    and the output of the activation (`weighted` again if there is none). `kernels` and `params`
    are indices of the model's leaves: its arrays of two or more axes, and its `nnx.Param`s. Inside
    a scan over stacked layers, `part` is the index along the leaves' first axes. `is_call` is false
    for weights that are used without a call of their layer. `features` is the axis of the features
    of `weighted`, `fan_in` the number of terms of a sum there (None: see the kernels).
    """

    name: str
    kind: str
    input: Var
    weighted: Var
    output: Var
    activation: TracedActivation | None
    kernels: Sequence[int]
    params: Sequence[int]
    part: tuple[int, ...] = ()
    is_call: bool = True
    features: int = -1
    fan_in: int | None = None


class TracedModel(NamedTuple):
    """A model's program for one batch, and its layers in the order of their calls.

    The inputs of the program are `leaves`, those of the model's state, then `batch`. `params` are
    the indices of all leaves that are trained (`nnx.Param`), `held` those of kernels in modules
    that call other layers. `unseen` are the names of weights that are only used where the program
    cannot be read: in a long or dynamic loop, or in a branch; `unused` are those that are not used
    at all. `output_shapes` has the shapes of what the model returns, `names` those of the leaves.
    """

    program: Program
    layers: Sequence[TracedLayer]
    leaves: Sequence[Any]
    params: Sequence[int]
    held: Sequence[int]
    unseen: Sequence[str]
    unused: Sequence[str]
    output_shapes: Any
    names: Sequence[str]

    @property
    def batch(self) -> Sequence[Var]:
        """The inputs of the program that are the batch."""
        return self.program.inputs[len(self.leaves) :]

    @property
    def is_single_output(self) -> bool:
        """Whether the model returns one array."""
        return hasattr(self.output_shapes, "shape")

    def outputs(self, values: Mapping[Var, Any]) -> Any:
        """Return what the model returns, given the values of its program."""
        leaves = [read(values, atom) for atom in self.program.outputs]
        return jax.tree.unflatten(jax.tree.structure(self.output_shapes), leaves)

    def require_single_output(self) -> None:
        """Raise ValueError if the model does not return one array."""
        if not self.is_single_output:
            raise ValueError(
                f"the model returns a {type(self.output_shapes).__name__}; expected one array of "
                "outputs (batch, ...): name them with output=, such as output='logits' or output=0,"
                " or give a loss that takes what the model returns"
            )


def trace(model: nnx.Module, x: Any, *, activations: bool = True) -> TracedModel:
    """Trace `model(x)` for a batch `x`, or for its shape and dtype.

    A tuple `x` is passed as several arguments. If `activations` is false, none is searched for:
    every layer ends with its own output.

    Raises ValueError if the model has no layer with weights that its program shows.

    >>> import jax.numpy as jnp
    >>> model = nnx.Sequential(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), nnx.relu)
    >>> (layer,) = trace(model, jnp.ones((2, 4))).layers
    >>> layer.name, layer.kind, layer.activation.name()
    ('layers.0', 'Linear', 'relu')
    """
    graph, state = nnx.split(model)
    leaves, structure = jax.tree.flatten(state)
    parameters = find_parameters(model, state)

    def forward(leaves: Sequence[Any], x: Any) -> Any:
        copy = nnx.merge(graph, jax.tree.unflatten(structure, leaves))
        with marked_calls(copy, parameters.kernels.keys()):
            return copy(*x) if isinstance(x, tuple) else copy(x)

    closed, shapes = jax.make_jaxpr(forward, return_shape=True)(leaves, x)
    program = flatten(closed)
    found = find_uses(program, parameters)
    if not found.uses and not found.unseen:
        raise ValueError(
            "the model uses no layer with weights (an nnx.Module with a variable of two or more "
            "axes), so there is nothing to diagnose"
        )
    return TracedModel(
        program=program,
        layers=_layers(program, found.uses, program.inputs[len(leaves) :] if activations else ()),
        leaves=leaves,
        params=sorted(index for indices in parameters.params.values() for index in indices),
        held=found.held,
        unseen=found.unseen,
        unused=found.unused,
        output_shapes=shapes,
        names=parameters.names,
    )


def _layers(program: Program, uses: Sequence[Use], data: Sequence[Var]) -> list[TracedLayer]:
    """Return the layers with their activations; `data` are the inputs that these depend on."""
    positions = program.positions()
    candidates = find_activations(program, data) if data else []
    counts: dict[tuple[str, tuple[int, ...]], int] = {}
    layers = []
    for use in uses:
        activation = _activation(program, use, uses, candidates, positions)
        number = counts[use.label, use.part] = counts.get((use.label, use.part), 0) + 1
        part = "".join(f"[{index}]" for index in use.part)
        layers.append(
            TracedLayer(
                name=use.label + part + (f" (call {number})" if number > 1 else ""),
                kind=use.kind,
                input=use.input,
                weighted=use.output,
                output=activation.output if activation else use.output,
                activation=activation,
                kernels=use.kernels,
                params=use.params,
                part=use.part,
                is_call=use.is_call,
                features=use.features,
                fan_in=use.fan_in,
            )
        )
    return layers


def _activation(
    program: Program,
    use: Use,
    uses: Sequence[Use],
    candidates: Sequence[TracedActivation],
    positions: Mapping[Var, int],
) -> TracedActivation | None:
    """Return the first activation that depends on a layer, before another layer reads it."""
    if not candidates:
        return None
    dependents = program.dependents([use.output])
    end = min(
        (other.start for other in uses if other.start > use.end and other.input in dependents),
        default=len(program.equations),
    )
    shape = program.avals[use.output].shape
    return next(
        (
            candidate
            for candidate in candidates
            if use.end < positions[candidate.output] < end
            and candidate.output in dependents
            and _same_features(candidate.shape, shape, use.features)
        ),
        None,
    )


def _same_features(shape: Sequence[int], weighted: Sequence[int], axis: int) -> bool:
    """Whether values of `shape` are the layer's features for each example, possibly pooled.

    The statistics of a normalization, which are clamped too (a variance is at least 0), are not.
    """
    if not shape or len(shape) != len(weighted):
        return False
    return (shape[0], shape[axis]) == (weighted[0], weighted[axis])
