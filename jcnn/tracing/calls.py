"""Mark the calls of a model's layers in its program, and find them there.

The marks are part of the program, so that a call is also found where JAX or Flax reuses the program
of a function that it traced before (`jax.jit`, `jax.checkpoint`).
"""

import json
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from jcnn.tracing.program import Equation, Program, Var

# The path of a module in its model.
Path = tuple[Any, ...]

# The attribute by which a call knows the path of its module.
_PATH = "_jcnn_path"
_LOCK = threading.RLock()
# How the names of marks begin.
_START, _END = "jcnn call ", "jcnn end "


class Call(NamedTuple):
    """One call of a layer in a program: the layer's path and class, and the call's variables.

    `input` is the call's first argument, at the equation `start`; `output` its result, at the
    equation `end`. `iteration` holds the iterations of the enclosing scans.
    """

    path: Path
    kind: str
    input: Var
    output: Var
    start: int
    end: int
    iteration: tuple[int, ...]


def is_mark(equation: Equation) -> bool:
    """Whether an equation only marks the beginning or end of a call."""
    return equation.name == "name" and str(equation.params["name"]).startswith((_START, _END))


def find_calls(program: Program, paths: Collection[Path]) -> list[Call]:
    """Return the marked calls of the layers at `paths`, in the order in which they end."""
    named = {_name(path): path for path in paths}
    calls: list[Call] = []
    begun: list[tuple[str, Var, int]] = []
    for position, equation in enumerate(program.equations):
        if not is_mark(equation):
            continue
        name, (variable,) = str(equation.params["name"]), equation.outputs
        if name.startswith(_START):
            begun.append((name.removeprefix(_START), variable, position))
            continue
        label = name.removeprefix(_END)
        # A call that returned no array has a beginning without an end.
        while begun and begun[-1][0] != label:
            begun.pop()
        if begun:
            _, argument, start = begun.pop()
            kind, _, name = label.partition(" ")
            calls.append(
                Call(named[name], kind, argument, variable, start, position, equation.iteration)
            )
    return calls


@contextmanager
def marked_calls(model: nnx.Module, paths: Collection[Path]) -> Iterator[None]:
    """Mark the calls of the layers at `paths` that map an array to an array of floating numbers.

    Python looks `__call__` up on the class, so classes are patched meanwhile; other objects of
    these classes behave as usual.
    """
    active: set[Path] = set()

    def mark(original: Callable[..., Any]) -> Callable[..., Any]:
        def marked(self: Any, *arguments: Any, **keywords: Any) -> Any:
            path = vars(self).get(_PATH)
            if path is None or path in active:  # the latter is super().__call__
                return original(self, *arguments, **keywords)
            label = f"{type(self).__name__} {_name(path)}"
            if arguments and _is_array(arguments[0]):
                first = checkpoint_name(arguments[0], _START + label)
                arguments = (first, *arguments[1:])
            active.add(path)
            try:
                output = original(self, *arguments, **keywords)
            finally:
                active.remove(path)
            if _is_array(output) and jnp.issubdtype(output.dtype, jnp.floating):
                return checkpoint_name(output, _END + label)
            return output

        return marked

    with _LOCK:
        # The `__call__` that each class itself defines; None if it inherits one.
        originals: dict[type, Any] = {}
        for path, node in nnx.iter_graph(model):
            # A bridge takes every attribute for a variable.
            is_bridge = isinstance(node, nnx.bridge.ToNNX)
            if isinstance(node, nnx.Module) and path in paths and not is_bridge:
                vars(node)[_PATH] = path
                originals.setdefault(type(node), type(node).__dict__.get("__call__"))
        try:
            for layer, call in [(layer, layer.__call__) for layer in originals]:
                _set_call(layer, mark(call))
            yield
        finally:
            for layer, original in originals.items():
                if original is None:
                    delattr(layer, "__call__")
                else:
                    _set_call(layer, original)


def _name(path: Path) -> str:
    return json.dumps(path, default=repr)


def _set_call(layer: type, call: Callable[..., Any]) -> None:
    layer.__call__ = call  # type: ignore[method-assign]


def _is_array(value: Any) -> bool:
    return isinstance(value, (jax.Array, jax.core.Tracer))
