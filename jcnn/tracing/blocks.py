"""The weighted layers of any `nnx.Module`, as it calls them, and what lies between them.

The model is traced once. On the way each layer's call is given a name in the program
(`jax.ad_checkpoint.checkpoint_name`); the model itself is not changed.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from jcnn.tracing.elementwise import Nonlinearity, nonlinearities
from jcnn.tracing.program import Program, flatten

_PATH = "_jcnn_path"
_LOCK = threading.RLock()


class Block(NamedTuple):
    """One call of a layer with weights, and the activation that follows before the next.

    `input`, `weighted` and `output` are places in the program: what the layer reads, what it gives,
    and what the activation (where there is one) makes of it. `weights` are the leaves of the
    model's state, by index, that are its kernels; `trained` says which of its variables are
    `nnx.Param`.
    """

    name: str
    kind: str
    input: int
    weighted: int
    output: int
    activation: Nonlinearity | None
    weights: Sequence[int]
    trained: Sequence[int]


class Traced(NamedTuple):
    """A model's program for one batch, and its blocks in the order of their calls.

    The program's inputs are the leaves of the model's state, then the batch. `params` are those
    leaves, by index, that are trained: of an `nnx.Param`. `unseen` are paths of layers with weights
    that are no blocks, since they are not called or only inside a loop.
    """

    program: Program
    blocks: Sequence[Block]
    leaves: Sequence[Any]
    params: Sequence[int]
    unseen: Sequence[str]


class _Call(NamedTuple):
    """A layer as it was called: its path, how often before, and its class."""

    path: tuple[Any, ...]
    number: int
    kind: str

    @property
    def label(self) -> str:
        again = f" (call {self.number + 1})" if self.number else ""
        return (".".join(map(str, self.path)) or self.kind) + again


def trace(model: nnx.Module, x: Any, *, activations: bool = True) -> Traced:
    """Trace `model(x)`; `x` is a batch, or its shape and dtype.

    Without `activations`, none is looked for: a block ends with what its layer gives.

    Raises ValueError where the model gives no single array, or has no layer with weights.
    """
    graph, state = nnx.split(model)
    leaves, structure = jax.tree.flatten(state)
    kernels, params = _variables(model, state)
    calls: list[_Call] = []

    def forward(leaves: Sequence[Any], x: Any) -> Any:
        calls.clear()
        copy = nnx.merge(graph, jax.tree.unflatten(structure, leaves))
        with _recorded(copy, set(kernels), calls):
            return copy(x)

    closed, shape = jax.make_jaxpr(forward, return_shape=True)(leaves, x)
    if not hasattr(shape, "shape"):
        raise ValueError(
            f"the model gives {type(shape).__name__}; expected one array of outputs, "
            "(batch, ...): wrap it so that it returns them alone"
        )
    if not calls:
        raise ValueError(
            "the model calls no layer that has weights (an nnx.Module with a variable of two or "
            "more axes), so there is nothing to diagnose"
        )
    program = flatten(closed)
    blocks = _blocks(program, calls, kernels, params, activations)
    seen = {tuple(block.weights) for block in blocks}
    unseen = [".".join(map(str, path)) for path, own in kernels.items() if tuple(own) not in seen]
    trained = sorted(index for own in params.values() for index in own)
    return Traced(program, blocks, leaves, trained, unseen)


def _variables(
    model: nnx.Module, state: Any
) -> tuple[dict[tuple[Any, ...], list[int]], dict[tuple[Any, ...], list[int]]]:
    """By path of the module that holds them: kernels (two axes or more), and all `nnx.Param`."""
    kernels: dict[tuple[Any, ...], list[int]] = {}
    params: dict[tuple[Any, ...], list[int]] = {}
    plain = (nnx.BatchStat, nnx.RngState)
    modules = [path for path, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)]
    flat, _ = jax.tree.flatten_with_path(state, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))
    for index, (keys, variable) in enumerate(flat):
        path = tuple(getattr(key, "key", getattr(key, "name", None)) for key in keys)
        # Parameters in a list or mapping are their module's own.
        holder = max((m for m in modules if path[: len(m)] == m and _layer(model, m)), key=len)
        value = variable.get_value() if isinstance(variable, nnx.Variable) else variable
        floating = jnp.issubdtype(value.dtype, jnp.floating)
        if floating and value.ndim >= 2 and not isinstance(variable, plain):
            kernels.setdefault(holder, []).append(index)
        if floating and isinstance(variable, nnx.Param):
            params.setdefault(holder, []).append(index)
    return kernels, params


def _layer(model: nnx.Module, path: Sequence[Any]) -> bool:
    """Whether what is there can be called (an `nnx.List` or `nnx.Dict` cannot)."""
    node: Any = model
    for key in path:
        node = node[key] if isinstance(node, (nnx.List, nnx.Dict)) else getattr(node, key)
    return callable(node)


@contextmanager
def _recorded(model: nnx.Module, paths: set[tuple[Any, ...]], calls: list[_Call]) -> Iterator[None]:
    """While it lasts, calls of the layers at `paths` are recorded and their values named.

    Classes are wrapped, not objects, since a call goes by the class; others' objects of the same
    classes are called as ever.
    """
    counts: dict[tuple[Any, ...], int] = {}
    within: set[tuple[Any, ...]] = set()
    originals: dict[type, Any] = {}

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
            path = vars(self).get(_PATH)
            if path is None or path in within:  # the latter: super().__call__
                return original(self, *arguments, **keywords)
            number = counts.get(path, 0)
            counts[path] = number + 1
            one = _Call(path, number, type(self).__name__)
            given = [
                checkpoint_name(a, f"in {one.label}") if i == 0 and _is_array(a) else a
                for i, a in enumerate(arguments)
            ]
            within.add(path)
            try:
                found = original(self, *given, **keywords)
            finally:
                within.remove(path)
            if given and _is_array(given[0]) and _is_array(found):
                calls.append(one)
                return checkpoint_name(found, f"out {one.label}")
            return found

        return call

    with _LOCK:
        for path, node in nnx.iter_graph(model):
            if isinstance(node, nnx.Module) and path in paths:
                vars(node)[_PATH] = path
                if type(node) not in originals:
                    originals[type(node)] = type(node).__dict__.get("__call__")
        try:
            for layer, call in [(layer, layer.__call__) for layer in originals]:
                _set_call(layer, wrapped(call))
            yield
        finally:
            for layer, own in originals.items():
                if own is None:
                    delattr(layer, "__call__")
                else:
                    _set_call(layer, own)


def _like(shape: Sequence[int], weighted: Sequence[int]) -> bool:
    """Whether these are values of the layer's features for each example, perhaps pooled.

    A normalization bends its statistics too (a variance is at least 0), which are fewer.
    """
    ends = (shape[0], shape[-1]) == (weighted[0], weighted[-1]) if shape else False
    return ends and len(shape) == len(weighted)


def _set_call(layer: type, call: Callable[..., Any]) -> None:
    layer.__call__ = call  # type: ignore[method-assign]


def _is_array(value: Any) -> bool:
    return isinstance(value, (jax.Array, jax.core.Tracer)) and jnp.issubdtype(
        value.dtype, jnp.floating
    )


def _blocks(
    program: Program,
    calls: Sequence[_Call],
    kernels: Mapping[tuple[Any, ...], Sequence[int]],
    params: Mapping[tuple[Any, ...], Sequence[int]],
    activations: bool,
) -> list[Block]:
    named = program.named()
    order = {place: i for i, one in enumerate(program.equations) for place in one.outputs}
    # A call inside a loop or a branch is not in the program laid open.
    seen = [one for one in calls if f"out {one.label}" in named]
    seen.sort(key=lambda one: order[named[f"out {one.label}"]])
    starts = [order[named[f"out {one.label}"]] for one in seen] + [len(program.equations)]
    found = nonlinearities(program, [program.inputs[-1]]) if activations else []
    blocks = []
    for one, start, end in zip(seen, starts, starts[1:], strict=False):
        weighted = named[f"out {one.label}"]
        after = program.depending_on([weighted])
        shape = program.avals[weighted].shape
        activation = next(
            (
                a
                for a in found
                if start < order[a.output] < end and a.output in after and _like(a.shape, shape)
            ),
            None,
        )
        blocks.append(
            Block(
                one.label,
                one.kind,
                named[f"in {one.label}"],
                weighted,
                activation.output if activation else weighted,
                activation,
                kernels[one.path],
                params.get(one.path, []),
            )
        )
    return blocks
