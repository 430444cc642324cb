"""Record the calls of a model's layers while it is traced, and name their values in the program."""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

# The path of a module in its model.
Path = tuple[Any, ...]

# The attribute by which a call knows the path of its module.
_PATH = "_jcnn_path"
_LOCK = threading.RLock()


class Call(NamedTuple):
    """One call of a layer: the layer's path, the number of calls before, and its class."""

    path: Path
    number: int
    kind: str

    @property
    def label(self) -> str:
        """The name of the call: the path, and from the second call on, its number."""
        suffix = f" (call {self.number + 1})" if self.number else ""
        return (".".join(map(str, self.path)) or self.kind) + suffix

    @property
    def input_name(self) -> str:
        """The name of the call's first argument in the program."""
        return f"in {self.label}"

    @property
    def output_name(self) -> str:
        """The name of the call's output in the program."""
        return f"out {self.label}"


@contextmanager
def recorded_calls(model: nnx.Module, paths: Collection[Path]) -> Iterator[list[Call]]:
    """Record the calls of the layers at `paths` that map an array to an array.

    Their inputs and outputs get the names of `Call` (`jax.ad_checkpoint.checkpoint_name`). Python
    looks `__call__` up on the class, so classes are patched meanwhile; other objects of these
    classes behave as usual.
    """
    calls: list[Call] = []
    counts: dict[Path, int] = {}
    active: set[Path] = set()

    def record(original: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(self: Any, *arguments: Any, **keywords: Any) -> Any:
            path = vars(self).get(_PATH)
            if path is None or path in active:  # the latter is super().__call__
                return original(self, *arguments, **keywords)
            number = counts.get(path, 0)
            counts[path] = number + 1
            call = Call(path, number, type(self).__name__)
            is_recorded = bool(arguments) and _is_array(arguments[0])
            if is_recorded:
                arguments = (checkpoint_name(arguments[0], call.input_name), *arguments[1:])
            active.add(path)
            try:
                output = original(self, *arguments, **keywords)
            finally:
                active.remove(path)
            if is_recorded and _is_array(output):
                calls.append(call)
                return checkpoint_name(output, call.output_name)
            return output

        return recorded

    with _LOCK:
        # The `__call__` that each class itself defines; None if it inherits one.
        originals: dict[type, Any] = {}
        for path, node in nnx.iter_graph(model):
            if isinstance(node, nnx.Module) and path in paths:
                vars(node)[_PATH] = path
                originals.setdefault(type(node), type(node).__dict__.get("__call__"))
        try:
            for layer, call in [(layer, layer.__call__) for layer in originals]:
                _set_call(layer, record(call))
            yield calls
        finally:
            for layer, original in originals.items():
                if original is None:
                    delattr(layer, "__call__")
                else:
                    _set_call(layer, original)


def _set_call(layer: type, call: Callable[..., Any]) -> None:
    layer.__call__ = call  # type: ignore[method-assign]


def _is_array(value: Any) -> bool:
    return isinstance(value, (jax.Array, jax.core.Tracer)) and jnp.issubdtype(
        value.dtype, jnp.floating
    )
