"""Where a model's program uses its weights: in calls of layers, or directly in equations."""

import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from jcnn.tracing.calls import Call, find_calls
from jcnn.tracing.parameters import Parameters
from jcnn.tracing.program import Equation, Program, Var

# Equations by which parameters act on data as a layer's weights.
_WEIGHTED = ("conv_general_dilated", "dot_general", "gather", "jcnn_conv")
# Equations that hold programs which are not inlined.
_OPAQUE = ("cond", "custom_jvp_call", "custom_vjp_call", "scan", "shard_map", "while")


class Use(NamedTuple):
    """One use of weights, from the equation `start` to `end`.

    `kernels` and `params` are leaves of the model; inside a scan that slices them, `part` is the
    index along their first axes. `is_call` says whether a layer was called. `features` is the axis
    of the output's features, `fan_in` the number of terms of a weighted sum (None: unknown).
    """

    label: str
    kind: str
    input: Var
    output: Var
    start: int
    end: int
    kernels: Sequence[int]
    params: Sequence[int]
    part: tuple[int, ...]
    is_call: bool
    features: int = -1
    fan_in: int | None = None


class Uses(NamedTuple):
    """All uses in order of execution, and the weights that no use shows.

    `held` are the kernels of modules that call other layers. `unseen` are the names of weights that
    are only used inside equations that hold other programs, `unused` of those that nothing reads.
    """

    uses: Sequence[Use]
    held: Sequence[int]
    unseen: Sequence[str]
    unused: Sequence[str]


def find_uses(program: Program, parameters: Parameters) -> Uses:
    """Return the uses of weights in a model's program; its first inputs are the model's leaves."""
    calls = find_calls(program, parameters.kernels.keys())
    inner = [call for call in calls if not any(_contains(call, other) for other in calls)]
    held = {i for call in calls if call not in inner for i in parameters.kernels[call.path]}
    owners = _owners(program, len(parameters.names))
    uses = [_use_of(program, parameters, call) for call in inner]
    # A stack of normalizations has no kernels, although its scales have two axes.
    plain = {index for use in uses if not use.kernels for index in use.params}
    uses = [use for use in uses if use.kernels]
    uses += _direct_uses(program, parameters, uses, owners)
    shown = {index for use in uses for index in use.kernels}
    kernels = {index for indices in parameters.kernels.values() for index in indices}
    hidden = {
        index
        for equation in program.equations
        if equation.name in _OPAQUE
        for variable in equation.variables()
        for index in owners.get(variable, ())
    }
    readers = program.readers()
    unused = {index for index in kernels if program.inputs[index] not in readers}
    return Uses(
        uses=sorted(uses, key=lambda use: use.end),
        held=sorted(held),
        unseen=_names(parameters, (hidden & kernels) - shown - plain),
        unused=_names(parameters, unused),
    )


def _use_of(program: Program, parameters: Parameters, call: Call) -> Use:
    stacked = parameters.kernels[call.path]
    part = _part(program, stacked, call.iteration)
    # Stacked biases have two axes as well.
    axes = [len(program.avals[program.inputs[index]].shape) - len(part) for index in stacked]
    return Use(
        label=parameters.label(call.path) or call.kind,
        kind=call.kind,
        input=call.input,
        output=call.output,
        start=call.start,
        end=call.end,
        kernels=[index for index, count in zip(stacked, axes, strict=True) if count >= 2],
        params=parameters.params.get(call.path, []),
        part=part,
        is_call=True,
    )


def _contains(outer: Call, inner: Call) -> bool:
    return outer.start < inner.start and inner.end < outer.end and outer.path != inner.path


def _owners(program: Program, leaves: int) -> dict[Var, frozenset[int]]:
    """Return, for each variable that is computed from leaves alone, the indices of these."""
    data = program.dependents(program.inputs[leaves:])
    owners: dict[Var, frozenset[int]] = {
        variable: frozenset([index]) for index, variable in enumerate(program.inputs[:leaves])
    }
    for equation in program.equations:
        if data.isdisjoint(equation.variables()):
            own = frozenset().union(*(owners.get(v, ()) for v in equation.variables()))
            owners.update(dict.fromkeys(equation.outputs, own))
    return owners


def _direct_uses(
    program: Program,
    parameters: Parameters,
    calls: Sequence[Use],
    owners: dict[Var, frozenset[int]],
) -> list[Use]:
    kernels = {index for indices in parameters.kernels.values() for index in indices}
    holders = {index: path for path, indices in parameters.kernels.items() for index in indices}
    readers, positions = program.readers(), program.positions()
    uses = []
    for position, equation in enumerate(program.equations):
        if equation.name not in _WEIGHTED:
            continue
        weights, data = _operands(equation, owners)
        own = sorted(weights & kernels)
        inside = any(
            call.start <= position <= call.end and weights.intersection(call.kernels)
            for call in calls
        )
        if not own or data is None or inside:
            continue
        trained = parameters.params.get(holders[own[0]], [])
        output, features = _sum_of(program, readers, owners, equation)
        uses.append(
            Use(
                label=parameters.names[own[0]],
                kind=equation.name,
                input=data,
                output=output,
                start=position,
                end=positions[output],
                kernels=own,
                params=[i for i in trained if i in weights or parameters.by_path],
                part=_part(program, own, equation.iteration),
                is_call=False,
                features=features,
                fan_in=_fan_in(program, equation, owners),
            )
        )
    return uses


def _sum_of(
    program: Program,
    readers: dict[Var, list[Equation]],
    owners: dict[Var, frozenset[int]],
    equation: Equation,
) -> tuple[Var, int]:
    """Return a product with weights after its bias is added, and the axis of its features.

    `vmap` puts axes of size 1 and transpositions in between.
    """
    output, axis = equation.outputs[0], _features(equation, owners)
    found = output, axis
    while len(following := readers.get(output, [])) == 1 and output not in program.outputs:
        (reader,) = following
        shape, after = (program.avals[each].shape for each in (output, reader.outputs[0]))
        axis %= len(shape)
        if reader.name == "transpose":
            axis = reader.params["permutation"].index(axis)
        elif reader.name in ("reshape", "squeeze"):
            kept = [[i for i, size in enumerate(each) if size > 1] for each in (shape, after)]
            sizes = [
                [each[i] for i in places] for each, places in zip((shape, after), kept, strict=True)
            ]
            if sizes[0] != sizes[1] or axis not in kept[0]:
                break
            axis = kept[1][kept[0].index(axis)]
        elif reader.name != "add" or not any(other in owners for other in reader.variables()):
            break
        output = reader.outputs[0]
        if reader.name in ("add", "transpose"):
            found = output, axis
    output, axis = found
    return output, -1 if axis == len(program.avals[output].shape) - 1 else axis


def _features(equation: Equation, owners: dict[Var, frozenset[int]]) -> int:
    """Return the axis of the output's features."""
    numbers: Any = equation.params.get("dimension_numbers")
    if equation.name == "conv_general_dilated":
        return int(numbers.out_spec[1])
    # The output of a product has its batch axes, those of the first operand, and of the second.
    is_first = equation.name == "dot_general" and equation.inputs[0] in owners
    return len(numbers[1][0]) if is_first else -1


def _fan_in(program: Program, equation: Equation, owners: dict[Var, frozenset[int]]) -> int | None:
    """Return the number of terms of a weighted sum; None if the equation does not say."""
    shapes = [
        program.avals[atom].shape if isinstance(atom, Var) else () for atom in equation.inputs
    ]
    if equation.name == "conv_general_dilated":
        spec = equation.params["dimension_numbers"].rhs_spec
        return math.prod(size for axis, size in enumerate(shapes[1]) if axis != spec[0])
    if equation.name == "dot_general":
        contracted = equation.params["dimension_numbers"][0]
        side = 0 if equation.inputs[0] in owners else 1
        return math.prod(shapes[side][axis] for axis in contracted[side])
    return None


def _operands(
    equation: Equation, owners: dict[Var, frozenset[int]]
) -> tuple[frozenset[int], Var | None]:
    """Return the leaves that an operand is computed from, and the operand that is data."""
    first, second = (atom if isinstance(atom, Var) else None for atom in equation.inputs[:2])
    if equation.name != "gather" and first not in owners:
        first, second = second, first
    weights = frozenset() if first is None else owners.get(first, frozenset())
    return weights, None if second in owners else second


def _part(program: Program, kernels: Sequence[int], iteration: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index of the slice of all kernels that an iteration of a scan reads."""
    prefixes = [iteration[:length] for length in range(len(iteration), 0, -1)]
    parts = {
        next((p for at in prefixes if (p := program.slices.get((program.inputs[i], at)))), ())
        for i in kernels
    }
    return parts.pop() if len(parts) == 1 else ()


def _names(parameters: Parameters, indices: Collection[int]) -> list[str]:
    """Return the names of the modules that hold leaves; of leaves, where that is the model."""
    holders = {i: path for path, leaves in parameters.kernels.items() for i in leaves}
    names = (parameters.label(holders[i]) or parameters.names[i] for i in sorted(indices))
    return list(dict.fromkeys(names))
