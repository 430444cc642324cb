"""Which layers read which: the traced program, seen from its layers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from typing import NamedTuple

import jax.numpy as jnp

from jcnn.tracing.model import TracedModel
from jcnn.tracing.program import Var

# Stands for the batch among the layers that a layer reads.
BATCH = -1
# What no gradient passes: on purpose, and because the derivative is 0 everywhere.
_CUTS = ("stop_gradient",)
_FLAT = ("ceil", "floor", "round", "sign")


@dataclass(frozen=True)
class LayerGraph:
    """The layers of a network as a graph without circles.

    `reads[i]` are the layers, by index, whose outputs reach layer `i` without passing through
    another layer (`BATCH` for the batch); `ends[i]` says whether layer `i` reaches the network's
    output in this way.

    >>> graph = LayerGraph.chain(3)
    >>> graph.reads, graph.ends, graph.readers[0]
    ([[-1], [0], [1]], [False, False, True], [1])
    """

    reads: Sequence[Sequence[int]]
    ends: Sequence[bool]

    @classmethod
    def chain(cls, layers: int) -> "LayerGraph":
        """Return the graph of layers each of which reads the one before."""
        return cls([[i - 1] for i in range(layers)], [i == layers - 1 for i in range(layers)])

    @cached_property
    def order(self) -> list[int]:
        """The layers, each after all that it reads."""
        graph = {
            i: [below for below in read if below != BATCH] for i, read in enumerate(self.reads)
        }
        return list(TopologicalSorter(graph).static_order())

    @cached_property
    def readers(self) -> list[list[int]]:
        """The layers that read each layer."""
        readers: list[list[int]] = [[] for _ in self.reads]
        for layer, read in enumerate(self.reads):
            for below in read:
                if below != BATCH:
                    readers[below].append(layer)
        return readers

    def only(self, kept: Collection[int]) -> "LayerGraph":
        """Return the graph of the layers in `kept`, passing through the others.

        The others read nothing, and nothing reads them.
        """
        reads: list[list[int]] = [[] for _ in self.reads]
        through: dict[int, set[int]] = {BATCH: {BATCH}}
        ends = [end and i in kept for i, end in enumerate(self.ends)]
        for layer in self.order:
            sources = set().union(*(through[below] for below in self.reads[layer]))
            through[layer] = {layer} if layer in kept else sources
            if layer in kept:
                reads[layer] = sorted(sources)
            elif self.ends[layer]:
                for source in sources - {BATCH}:
                    ends[source] = True
        return LayerGraph(reads, ends)

    @cached_property
    def below(self) -> list[set[int]]:
        """The layers that each layer depends on, and `BATCH`."""
        below: list[set[int]] = [set() for _ in self.reads]
        for layer in self.order:
            for source in self.reads[layer]:
                below[layer] |= {source} if source == BATCH else {source, *below[source]}
        return below

    def series(self) -> list[list[int]]:
        """Return the longest runs of layers where each is all that the next reads, and reads it.

        >>> LayerGraph([[-1], [0], [1, 0], [2]], [False, False, False, True]).series()
        [[0], [1], [2, 3]]
        """
        runs: dict[int, list[int]] = {}
        for layer in self.order:
            read = self.reads[layer]
            if not read:
                continue
            below = read[0]
            alone = len(read) == 1 and below != BATCH
            if alone and self.readers[below] == [layer] and not self.ends[below]:
                runs[layer] = runs.pop(below)
                runs[layer].append(layer)
            else:
                runs[layer] = [layer]
        return sorted(runs.values())

    def is_trunk(self, layer: int) -> bool:
        """Whether every path from the batch to the network's output passes through a layer."""
        reached = {BATCH}
        for other in self.order:
            if other != layer and not reached.isdisjoint(self.reads[other]):
                reached.add(other)
        return not any(end and other in reached for other, end in enumerate(self.ends))


def layer_graph(traced: TracedModel) -> LayerGraph:
    """Return the graph of a traced model's layers.

    Layers that share an activation, which sums their outputs, are read together.

    >>> from flax import nnx
    >>> from jcnn.tracing import trace
    >>> layer, other = nnx.Linear(4, 4, rngs=nnx.Rngs(0)), nnx.Linear(4, 4, rngs=nnx.Rngs(1))
    >>> traced = trace(nnx.Sequential(layer, nnx.relu, other), jnp.ones((2, 4)))
    >>> layer_graph(traced).reads
    [[-1], [0]]
    """
    program = traced.program
    at: dict[Var, set[int]] = {}
    for i, layer in enumerate(traced.layers):
        at.setdefault(layer.weighted, set()).add(i)
        at.setdefault(layer.output, set()).add(i)
    sources: dict[Var, frozenset[int]] = {variable: frozenset([BATCH]) for variable in traced.batch}
    reads: list[set[int]] = [set() for _ in traced.layers]
    for equation in program.equations:
        incoming = frozenset().union(*(sources.get(v, ()) for v in equation.variables()))
        for variable in equation.outputs:
            own = at.get(variable)
            if own is None:
                sources[variable] = incoming
                continue
            for i in own:
                reads[i] |= incoming - own
            sources[variable] = frozenset(own)
    ends = {
        source
        for atom in program.outputs
        if isinstance(atom, Var)
        for source in sources.get(atom, ())
    }
    return LayerGraph([sorted(read) for read in reads], [i in ends for i in range(len(reads))])


class Gradients(NamedTuple):
    """Variables by what the loss says about them, whatever their values.

    A gradient can `reach` those with a path of equations with a derivative to the model's output.
    Those that are `cut_off` have a path that only `jax.lax.stop_gradient` cuts; those that are
    `used` have any path.
    """

    reach: set[Var]
    cut_off: set[Var]
    used: set[Var]


def gradient_paths(traced: TracedModel) -> Gradients:
    """Return which variables of a traced model a gradient can reach.

    >>> import jax
    >>> from flax import nnx
    >>> from jcnn.tracing import trace
    >>> layer, other = nnx.Linear(4, 4, rngs=nnx.Rngs(0)), nnx.Linear(4, 4, rngs=nnx.Rngs(1))
    >>> traced = trace(nnx.Sequential(layer, jax.lax.stop_gradient, other), jnp.ones((2, 4)))
    >>> gradients = gradient_paths(traced)
    >>> [layer.output in gradients.reach for layer in traced.layers]
    [False, True]
    >>> traced.layers[0].output in gradients.cut_off
    True
    """
    reach = _needed(traced, (*_CUTS, *_FLAT), floating=True)
    with_cuts = _needed(traced, _FLAT, floating=True)
    return Gradients(reach, with_cuts - reach, _needed(traced, (), floating=False))


def _needed(traced: TracedModel, blocked: Collection[str], *, floating: bool) -> set[Var]:
    """Return the variables that the outputs depend on, not through `blocked` primitives."""
    program = traced.program

    def passes(variable: Var) -> bool:
        return not floating or jnp.issubdtype(program.avals[variable].dtype, jnp.floating)

    needed = {atom for atom in program.outputs if isinstance(atom, Var) and passes(atom)}
    for equation in reversed(program.equations):
        if equation.name not in blocked and not needed.isdisjoint(equation.outputs):
            needed.update(filter(passes, equation.variables()))
    return needed
