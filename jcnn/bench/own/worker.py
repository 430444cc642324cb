"""The process of one side: it imports a function, compiles it, and times its calls when asked.

Run as `python -m jcnn.bench.own.worker`, it reads requests as lines of JSON from stdin and answers
each with a line. The first one is `{"function": ..., "arguments": [...], "donate": [...],
"as_is": ...}`; then follow "sample", "misses", "profile" and "peaks".
"""

import importlib
import inspect
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from jcnn import engine

_clock = time.perf_counter
_MOST_MISSES = 10


class Side:
    """A function with its arguments, compiled.

    `phases` are the seconds of importing the function, tracing, lowering, compiling and the first
    call. A function that is timed `as_is` is neither jitted nor traced as a whole. `misses` are
    JAX's explanations of compilations during the samples.
    """

    def __init__(
        self, function: str, arguments: Sequence[str], donate: Sequence[int], as_is: bool
    ) -> None:
        self.phases: dict[str, float] = {}
        self.misses: list[str] = []
        self.traced: Any = None
        self.compiled: Any = None
        self.not_donated: list[str] = []
        import jax

        from jcnn.bench.own.arguments import argument

        self._jax = jax
        began = _clock()
        target = _imported(function)
        self.phases["import"] = _clock() - began
        self._given = tuple(argument(text) for text in arguments)
        if not self._given and not _parameters(target):
            target, self._given = _made(function, target())
        _check_arguments(function, target, self._given)
        self.donates = bool(donate)
        self._call: Any = target
        if not as_is:
            if not hasattr(target, "lower"):
                self._call = jax.jit(target, donate_argnums=tuple(donate))
            self._compile()
        began = _clock()
        jax.block_until_ready(self._call(*self._copies()))
        self.phases["first call"] = _clock() - began
        operands = self._copies()
        began = _clock()
        jax.block_until_ready(self._call(*operands))
        once = _clock() - began
        self._times = 1 if self.donates else int(min(max(0.05 / max(once, 1e-7), 1), 1000))
        jax.config.update("jax_explain_cache_misses", True)
        logging.getLogger("jax").addHandler(_Heard(self.misses))
        self._sampled = False

    def _compile(self) -> None:
        began = _clock()
        self.traced = self._call.trace(*self._given)
        self.phases["trace"] = _clock() - began
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            began = _clock()
            lowered = self.traced.lower()
            self.phases["lower"] = _clock() - began
            began = _clock()
            self.compiled = lowered.compile()
            self.phases["compile"] = _clock() - began
        self.not_donated = [
            str(each.message).splitlines()[0] for each in heard if "donated" in str(each.message)
        ]

    def _copies(self) -> tuple[Any, ...]:
        """Return the arguments, copied if some are donated and can be used once only."""
        if not self.donates:
            return self._given
        copies = self._jax.tree.map(lambda a: a.copy() if hasattr(a, "copy") else a, self._given)
        return tuple(self._jax.block_until_ready(copies))

    def about(self) -> dict[str, Any]:
        """Return what is known without timing: phases, work, memory and faults."""
        from jcnn.bench.own.work import host_calls, operations_of, promotions

        about: dict[str, Any] = {
            "phases": self.phases,
            "device": self._jax.devices()[0].device_kind,
            "jax": self._jax.__version__,
            "not_donated": self.not_donated,
            "promotions": [],
            "host_calls": [],
        }
        if self.traced is None:
            return about
        memory = self.compiled.memory_analysis()
        operations, unknown = operations_of(self.traced.jaxpr)
        return about | {
            "operations": operations,
            "has_while": unknown,
            "bytes": _bytes(self._jax, self._given) + _bytes(self._jax, self.traced.out_info),
            "memory": {
                part: int(getattr(memory, f"{part}_size_in_bytes", 0))
                for part in ("argument", "output", "temp", "alias")
            },
            "promotions": promotions(self.traced.jaxpr),
            "host_calls": host_calls(self.traced.jaxpr),
        }

    def sample(self) -> dict[str, Any]:
        """Return the seconds per call, and how many programs were compiled during these calls."""
        if not self._sampled:
            self._sampled = True
            self.misses.clear()  # of what measured the machine's peaks
        total, before = 0.0, engine.compilations()
        for _ in range(self._times):
            operands = self._copies()
            began = _clock()
            self._jax.block_until_ready(self._call(*operands))
            total += _clock() - began
        done = engine.compilations().since(before)
        return {
            "seconds": total / self._times,
            "calls": self._times,
            "compilations": done.compiled + done.loaded,
        }

    def profile(self) -> dict[str, Any]:
        """Return the slowest operations of a call."""
        from jcnn.bench.operation_profile import profile

        operands = self._copies()
        result = profile(lambda: self._jax.block_until_ready(self._call(*operands)))
        return {
            "busy": result.busy,
            "span": result.span,
            "operations": [list(operation) for operation in result.operations[:12]],
        }


def _imported(function: str) -> Callable[..., Any]:
    module, colon, attribute = function.partition(":")
    if not colon or not module or not attribute:
        raise ValueError(f"{function}: expected module:function")
    sys.path.insert(0, os.getcwd())
    target: Any = importlib.import_module(module)
    for part in attribute.split("."):
        target = getattr(target, part)
    if inspect.isclass(target) or not callable(target):
        raise ValueError(f"{function} is no function; name one of its methods, or a function")
    return target


def _made(function: str, made: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    if isinstance(made, tuple) and len(made) == 2 and callable(made[0]):
        return made[0], tuple(made[1])
    raise ValueError(
        f"{function} has no arguments and returned a {type(made).__name__}; give --args, or return "
        "(function, arguments)"
    )


def _bytes(jax: Any, tree: Any) -> int:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")]
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):  # a function of C
        return []


def _check_arguments(name: str, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    required = [
        each.name
        for each in _parameters(function)
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    if len(required) > len(arguments):
        raise ValueError(
            f"{name} takes {', '.join(required)}, and {len(arguments)} arguments are given; "
            "spell them with --args, such as f32[128,28,28,1]"
        )


class _Heard(logging.Handler):
    """Keeps the first of JAX's explanations of compiling a function again, without the place."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        self._texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an explanation."""
        title, _, text = record.getMessage().partition(":\n")
        if "MISS" in title and len(self._texts) < _MOST_MISSES:
            self._texts.append(text or title)


def main() -> None:
    """Answer requests until stdin ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the function prints is no answer

    def answer(request: Any, side: Side | None) -> tuple[Any, Side | None]:
        if side is None:
            names = ("function", "arguments", "donate", "as_is")
            side = Side(*(request[name] for name in names))
            return side.about(), side
        if request == "sample":
            return side.sample(), side
        if request == "misses":
            return side.misses, side
        if request == "profile":
            return side.profile(), side
        from jcnn.bench import measure_peaks

        return measure_peaks(rounds=5)._asdict(), side

    side: Side | None = None
    for line in sys.stdin:
        try:
            reply, side = answer(json.loads(line), side)
        except Exception as error:  # the answer carries the reason
            reply = {"error": _reason(error)}
        print(json.dumps(reply), file=out, flush=True)


def _reason(error: Exception) -> str:
    text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:500]


if __name__ == "__main__":
    main()
