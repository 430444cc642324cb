"""Layer-sequential unit variance: a model's kernels rescaled on a batch."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import layers
from jcnn.arguments import floating
from jcnn.tracing.blocks import Block, Traced, trace
from jcnn.tracing.program import Equation, Program, between, flatten, read, run

Model = TypeVar("Model", bound=nnx.Module)

# A standard deviation below this share of the root mean square is rounding.
_NOTHING = 1e-5


def lsuv(model: Model, x: Any) -> Model:
    """`model` with kernels such that each layer's output on the batch `x` has variance 1.

    Layers are the calls of modules with kernels (`nnx.Param` of two axes or more), first to last:
    convolutions and dense layers, the last one too. What a layer gives is taken before
    normalization and activation, its variance over examples, positions and features alike. Its
    kernel is multiplied by the `c > 0` for which

        var(c * a + b) = 1,    a = output - b,    b = output with a kernel of zeros (the bias)

    and what follows sees the output rescaled, so that one forward pass is enough: with a bias of
    zero, `c` is one over the standard deviation. Where the bias alone has a variance of 1 or more,
    there is no such `c`, and that of `c * a` becomes 1. A layer whose output does not vary, or is
    not finite, stays as it is, and so do fixed kernels (no `nnx.Param`), `jcnn.layers.Pool`, and
    arrays of a module beside the layers that it calls. A layer that is called again is scaled on
    its first call.

    The model is used in the mode that it is in, and not changed. It may be under transformation
    (`jax.jit`, `vmap`). Start from orthogonal kernels for the published method
    (`kernel_init=jcnn.initializers.lsuv_orthogonal()`); a `jcnn.Study` with `kernel_init="lsuv"`
    does both. `jcnn.initializers.lsuv` is the same for kernels of one's own function.

    Raises ValueError for a layer whose output is not linear in its kernels, for kernels that no
    layer's call is seen to use (in a loop such as `nnx.scan`, say), and for an empty batch.

    >>> from jcnn import initializers, models
    >>> init = initializers.lsuv_orthogonal()
    >>> model = models.mlp((16,), 4, hidden=(32,), kernel_init=init, rngs=nnx.Rngs(0))
    >>> x = 5 * jax.random.normal(jax.random.key(0), (128, 16))
    >>> _, values = lsuv(model, x).intermediates(x)
    >>> [round(float(values[name].std()), 3) for name in ("dense_hidden1", "output")]
    [1.0, 1.0]
    """
    x = floating(x)
    if not x.size:
        raise ValueError(f"x has shape {x.shape}; expected a batch of at least one example")
    traced = trace(model, x, activations=False)
    scaled = jax.jit(_scaled_by(traced, _layers(traced)))(traced.leaves, x)
    leaves = [scaled.get(index, leaf) for index, leaf in enumerate(traced.leaves)]
    graph, state = nnx.split(model)
    found: Model = nnx.merge(graph, jax.tree.unflatten(jax.tree.structure(state), leaves))
    return found


class _Layer(NamedTuple):
    """The first call of a layer: its place, its kernels (by leaf), what it computes of them."""

    name: str
    place: int
    kernels: Sequence[int]
    equations: Sequence[Equation]


def _layers(traced: Traced) -> dict[int, _Layer]:
    """The calls whose kernels are to be scaled, by the place of what they give."""
    program = traced.program
    order = {place: i for i, one in enumerate(program.equations) for place in one.outputs}
    places = {block.weighted for block in traced.blocks}
    found: dict[int, _Layer] = {}
    known: set[int] = set()
    for block in traced.blocks:
        kernels = [index for index in block.weights if index in block.trained]
        again = not known.isdisjoint(kernels)
        known.update(kernels)
        if again or not kernels or block.kind == layers.Pool.__name__:
            continue
        if _calls_others(program, block, places):
            continue
        moved = program.depending_on(program.inputs[index] for index in kernels)
        if block.weighted not in moved:
            continue
        before = program.equations[: order[block.weighted] + 1]
        equations = [one for one in before if moved.intersection(one.outputs)]
        one = _Layer(block.name, block.weighted, kernels, equations)
        if not _linear(program, one):
            raise ValueError(
                f"lsuv cannot scale {block.name} ({block.kind}): its output is not linear in its "
                "kernels; use another initializer, or a module of its own for each kernel"
            )
        found[block.weighted] = one
    seen = {index for block in traced.blocks for index in block.weights}
    if any(traced.leaves[i].ndim >= 2 and i not in seen for i in traced.params):
        raise ValueError(
            f"lsuv sees no call of {', '.join(traced.unseen)}: call it outside of loops such as "
            "nnx.scan, drop it if nothing calls it, or use another initializer"
        )
    return found


def _calls_others(program: Program, block: Block, places: set[int]) -> bool:
    inside = {
        place for one in between(program, block.input, block.weighted) for place in one.outputs
    }
    return bool(inside.intersection(places - {block.weighted}))


def _linear(program: Program, layer: _Layer) -> bool:
    """Whether the layer's output is linear in its kernels, up to what does not depend on them.

    That is where its derivative by them does not depend on them.
    """
    kernels = [program.inputs[index] for index in layer.kernels]
    made = {place for one in layer.equations for place in one.outputs}
    needed = {atom for one in layer.equations for atom in one.inputs if isinstance(atom, int)}
    given = sorted(needed - made - set(kernels))

    def change(at: Sequence[Array], by: Sequence[Array], known: Sequence[Any]) -> Array:
        def output(at: Sequence[Array]) -> Array:
            values = dict(zip((*given, *kernels), (*known, *at), strict=True))
            return _run(layer.equations, values)[layer.place]

        changed: Array = jax.jvp(output, (at,), (by,))[1]
        return changed

    def shapes(places: Sequence[int]) -> list[jax.ShapeDtypeStruct]:
        avals = [program.avals[place] for place in places]
        return [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in avals]

    derivative = flatten(jax.make_jaxpr(change)(shapes(kernels), shapes(kernels), shapes(given)))
    end = derivative.outputs[0]
    moved = derivative.depending_on(derivative.inputs[: len(kernels)])
    return not isinstance(end, int) or end not in moved


def _scaled_by(traced: Traced, chosen: Mapping[int, _Layer]) -> Any:
    """`(leaves, x) -> kernels`, by leaf: the forward pass that scales them on its way."""
    program = traced.program

    def scaled(leaves: Sequence[Any], x: Array) -> dict[int, Array]:
        values = dict(zip(program.inputs, [*leaves, x], strict=True))
        for one in program.equations:
            _run([one], values)
            for layer in [chosen[place] for place in one.outputs if place in chosen]:
                _scale(program, layer, values)
        indices = {index for layer in chosen.values() for index in layer.kernels}
        return {index: values[program.inputs[index]] for index in sorted(indices)}

    return scaled


def _scale(program: Program, layer: _Layer, values: dict[int, Any]) -> None:
    """Scale the layer's kernels in `values`, and with them all that was computed of them."""
    kernels = {program.inputs[index]: values[program.inputs[index]] for index in layer.kernels}
    without = {place: jnp.zeros_like(kernel) for place, kernel in kernels.items()}
    output = values[layer.place]
    constant = _run(layer.equations, values | without)[layer.place].astype(jnp.float32)
    linear = output.astype(jnp.float32) - constant
    factor = _factor(linear, constant)
    for place, kernel in kernels.items():
        values[place] = (factor * kernel.astype(jnp.float32)).astype(kernel.dtype)
    _run(layer.equations, values)
    values[layer.place] = (factor * linear + constant).astype(output.dtype)


def _factor(linear: Array, constant: Array) -> Array:
    """The `c > 0` for which `c * linear + constant` has variance 1; 1 where there is none."""
    centred, rest = linear - jnp.mean(linear), constant - jnp.mean(constant)
    own, other, both = jnp.mean(centred**2), jnp.mean(rest**2), jnp.mean(centred * rest)
    root = jnp.sqrt(jnp.maximum(both**2 + own * (1 - other), 0))
    factor = jnp.where(other < 1, (root - both) / own, 1 / jnp.sqrt(own))
    varies = own > _NOTHING**2 * jnp.mean(linear**2)
    return jnp.where(varies & jnp.isfinite(factor), factor, 1)


def _run(equations: Sequence[Equation], values: dict[int, Any]) -> dict[int, Any]:
    """Evaluate equations, adding to `values`."""
    for one in equations:
        found = run(one, [read(values, atom) for atom in one.inputs])
        values |= dict(zip(one.outputs, found, strict=True))
    return values
