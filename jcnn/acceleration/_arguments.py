"""A call as a function of arrays: what is traced, and what stays as it is."""

import functools
import operator
import sys
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

# Kinds of NumPy arrays that JAX does not have: objects, bytes, text and times.
_NOT_IN_JAX = "OSUMm"


class Form(NamedTuple):
    """The outputs of a call without the arrays: how `Call.finish` puts them together."""

    structure: Any
    fixed: Sequence[Any]
    graph: Any
    state_structure: Any
    is_graph_kept: bool


class _Array:
    """The place of an array."""


class _Module:
    """The place of a module."""


_ARRAY, _MODULE = _Array(), _Module()


class Call:
    """A call of a function, whose `run` is a function of `arrays`.

    Arrays and the state of Flax modules among the arguments are traced; all else is fixed. A module
    keeps its identity: after the call its state and attributes are those that the function left,
    and an output that is a module of the arguments is that module. The function itself counts as an
    argument if it is a module, a pytree, a bound method or a `functools.partial`.
    """

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        leaves, self._structure = _flatten((_parts(function), args, kwargs))
        self._modules = [leaf for leaf in leaves if _is_module(leaf)]
        self._fixed = _fixed(leaves)
        self._graph, state = _split(self._modules)
        values, self._state_structure = jax.tree.flatten(state)
        own = [leaf for leaf in leaves if _is_array(leaf)]
        self._count = len(own)
        self.arrays = own + values

    def key(self) -> Hashable | None:
        """Return what identifies all but the values of the arrays; None if it has no hash."""
        fixed = tuple(map(_identity, self._fixed))
        avals = tuple(map(jax.typeof, self.arrays))
        key = (self._structure, fixed, self._graph, self._state_structure, avals)
        try:
            hash(key)
        except TypeError:
            return None
        return key

    def run(self, arrays: Sequence[Any]) -> tuple[list[Any], Form]:
        """Call the function; return the arrays of its outputs and modules, and the form."""
        own, values = arrays[: self._count], arrays[self._count :]
        state = jax.tree.unflatten(self._state_structure, values)
        copies = _merge(self._graph, state, inner=True)
        before = _graph_of(copies)
        leaves = _filled(self._fixed, own, copies)
        held, args, kwargs = jax.tree.unflatten(self._structure, leaves)
        outputs, structure = _flatten(held()(*args, **kwargs))
        modules = [leaf for leaf in outputs if _is_module(leaf)]
        graph, after = _split([*copies, *modules])
        changed, state_structure = jax.tree.flatten(after)
        found = [leaf for leaf in outputs if _is_array(leaf)]
        is_kept = not modules and before == _graph_of(copies)
        return found + changed, Form(structure, _fixed(outputs), graph, state_structure, is_kept)

    def finish(self, arrays: Sequence[Any], form: Form) -> Any:
        """Update the modules, and return the function's outputs."""
        count = sum(value is _ARRAY for value in form.fixed)
        found, after = arrays[:count], arrays[count:]
        before = self.arrays[self._count :]
        modules: Sequence[Any] = self._modules
        # Nothing is written to what did not change: it may belong to an outer trace.
        if not (form.is_graph_kept and all(map(operator.is_, after, before))):
            state = jax.tree.unflatten(form.state_structure, after)
            modules = _merge(form.graph, state, inner=False)
        leaves = _filled(form.fixed, found, modules[len(self._modules) :])
        return jax.tree.unflatten(form.structure, leaves)


class _Parts:
    """A function in parts, some of which may hold arrays; calling this puts it together."""

    def __init__(self, kind: str, *parts: Any) -> None:
        self.kind, self.parts = kind, parts

    def __call__(self) -> Callable[..., Any]:
        """Return the function."""
        parts: list[Any] = [part() if isinstance(part, _Parts) else part for part in self.parts]
        if self.kind == "method":
            return types.MethodType(*parts)
        if self.kind == "partial":
            return functools.partial(parts[0], *parts[1], **parts[2])
        function: Callable[..., Any] = parts[0]
        return function


jax.tree_util.register_pytree_node(
    _Parts, lambda held: (held.parts, held.kind), lambda kind, parts: _Parts(kind, *parts)
)


def _parts(function: Callable[..., Any]) -> _Parts:
    if isinstance(function, types.MethodType):
        return _Parts("method", function.__func__, function.__self__)
    if type(function) is functools.partial:
        return _Parts("partial", _parts(function.func), function.args, function.keywords)
    return _Parts("whole", function)


class _State:
    """An `nnx.State` as a pytree of arrays: its variables are values, not references."""

    def __init__(self, state: Any) -> None:
        self.leaves, self.structure = jax.tree.flatten(state)


jax.tree_util.register_pytree_node(
    _State, lambda state: (state.leaves, state.structure), jax.tree.unflatten
)


def _flatten(tree: Any) -> tuple[list[Any], Any]:
    nnx = sys.modules.get("flax.nnx")
    if nnx is not None:
        tree = jax.tree.map(
            lambda leaf: _State(leaf) if isinstance(leaf, nnx.State) else leaf,
            tree,
            is_leaf=lambda node: isinstance(node, nnx.State) or _is_module(node),
        )
    return jax.tree.flatten(tree, is_leaf=_is_module)


def _is_array(leaf: Any) -> bool:
    if isinstance(leaf, np.ndarray):
        return leaf.dtype.kind not in _NOT_IN_JAX
    return isinstance(leaf, jax.Array)


def _fixed(leaves: Sequence[Any]) -> list[Any]:
    """Return the leaves with marks in place of arrays and modules."""
    return [_ARRAY if _is_array(leaf) else _MODULE if _is_module(leaf) else leaf for leaf in leaves]


def _filled(fixed: Sequence[Any], arrays: Sequence[Any], modules: Sequence[Any]) -> list[Any]:
    """Return the leaves with arrays and modules in place of their marks."""
    next_array, next_module = iter(arrays), iter(modules)
    return [
        next(next_array) if leaf is _ARRAY else next(next_module) if leaf is _MODULE else leaf
        for leaf in fixed
    ]


def _identity(value: Any) -> Hashable:
    """Return what tells values apart that are equal: 1 and True, 0.0 and -0.0."""
    if isinstance(value, (float, complex, np.generic)):
        return type(value), repr(value)
    return type(value), value


def _is_module(leaf: Any) -> bool:
    """Whether a leaf is an object of Flax NNX, which has references and state."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(leaf, (nnx.Module, nnx.Variable, nnx.Rngs, nnx.Optimizer))


def following_modules(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function in which modules that are split and merged keep their identity."""

    @functools.wraps(function)
    def within(*args: Any) -> Any:
        nnx = sys.modules.get("flax.nnx")
        if nnx is None:
            return function(*args)
        with nnx.update_context(_TAG):
            return function(*args)

    return within


_TAG = "jcnn.accelerate"


def _split(modules: Sequence[Any]) -> tuple[Any, Any]:
    if not modules:
        return None, None
    with sys.modules["flax.nnx"].split_context(_TAG) as context:
        graph, state = context.split(list(modules))
    return graph, state


def _graph_of(modules: Sequence[Any]) -> Any:
    return sys.modules["flax.nnx"].split(list(modules))[0] if modules else None


def _merge(graph: Any, state: Any, *, inner: bool) -> Sequence[Any]:
    if graph is None:
        return []
    with sys.modules["flax.nnx"].merge_context(_TAG, inner=inner) as context:
        merged: Sequence[Any] = context.merge(graph, state)
    return merged
