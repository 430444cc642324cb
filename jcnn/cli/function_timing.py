"""`jcnn bench module:function`: time a function of one's own, and compare stored results."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn import strict_json
from jcnn.cli.limits import check_at_most
from jcnn.cli.tables import Column, console, table
from jcnn.errors import UsageError

if TYPE_CHECKING:
    from jcnn.bench.own import FunctionResult

_MOST_ROUNDS = 10_000
_MOST_REASON = 200


def add_function_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that apply to a function of one's own."""
    parser.add_argument(
        "--args",
        nargs="+",
        default=[],
        metavar="ARG",
        help="its arguments, such as f32[128,28,28,1] i32[128] 0.5 (default: the function has none "
        "and returns (function, arguments))",
    )
    parser.add_argument(
        "--rev",
        nargs="+",
        default=[],
        metavar="COMMIT",
        help="also time it as of these commits, checked out beside (default: none)",
    )
    parser.add_argument(
        "--donate",
        nargs="+",
        type=int,
        default=[],
        metavar="N",
        help="positions of arguments to donate (default: none)",
    )
    parser.add_argument(
        "--as-is",
        action="store_true",
        help="call it without jax.jit around it: it jits parts of its work itself",
    )
    parser.add_argument(
        "--ops", action="store_true", help="print its slowest operations, by JAX's profiler"
    )
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar=("BEFORE", "AFTER"),
        help="compare two files of --out, or of pytest-benchmark, and exit with 1 if something "
        "became slower (default: time)",
    )


def refuse_function_arguments(chosen: argparse.Namespace) -> None:
    """Raise UsageError for options that need a function."""
    for name in ("args", "rev", "donate", "as_is", "ops"):
        if getattr(chosen, name):
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option} is for a function of your own: jcnn bench module:function"
            )


def time_function(chosen: argparse.Namespace) -> int:
    """Time the function beside its rivals, print the figures, and store them."""
    if chosen.rounds < 1:
        raise UsageError(f"--rounds {chosen.rounds}; expected at least 1")
    check_at_most("--rounds", chosen.rounds, _MOST_ROUNDS)
    for name in ("only", "sweep", "plot", "dtype"):
        if getattr(chosen, name):
            raise UsageError(f"--{name} is for jcnn's own work; drop it, or the function")
    if chosen.out:
        Path(chosen.out).touch()  # fail now, not after the timing

    from jcnn.bench import hardware
    from jcnn.bench.own import run_function

    peaks, results = run_function(
        chosen.function,
        arguments=chosen.args,
        versus=chosen.versus,
        revisions=chosen.rev,
        donate=chosen.donate,
        as_is=chosen.as_is,
        rounds=chosen.rounds,
        profile=chosen.ops,
    )
    content: dict[str, Any] = {
        "hardware": hardware(),
        "peaks": peaks,
        "functions": [result.to_json() for result in results],
    }
    if chosen.out:
        Path(chosen.out).write_text(strict_json.dumps(content) + "\n")
    if chosen.json:
        print(strict_json.dumps(content))
    else:
        _print(content["hardware"], peaks, results)
    return 0


def print_changes(chosen: argparse.Namespace) -> int:
    """Print what two stored results have in common, and return 1 if something became slower."""
    if chosen.function:
        raise UsageError("--compare reads stored results; drop the function")
    from jcnn.bench.own import compare

    changes = compare(*chosen.compare)
    if chosen.json:
        rows = [
            {"name": each.name, **each.ratio._asdict(), "verdict": each.verdict} for each in changes
        ]
        print(strict_json.dumps(rows))
    else:
        terminal = console()
        columns = [
            Column("benchmark", [each.name for each in changes]),
            Column("after / before", [f"{each.ratio.ratio:.3f}" for each in changes], numeric=True),
            Column("95% interval", [_interval(each.ratio) for each in changes], numeric=True),
            Column("verdict", [each.verdict for each in changes]),
        ]
        terminal.print(table(columns, terminal.width))
    return int(any(each.verdict == "slower" for each in changes))


def _interval(ratio: Any) -> str:
    return f"[{ratio.low:.3f}, {ratio.high:.3f}]"


def _print(
    hardware: dict[str, Any], peaks: dict[str, float], results: "list[FunctionResult]"
) -> None:
    terminal = console()
    terminal.print(f"{hardware['devices']}, {hardware['processor']}, jax {hardware['jax']}")
    terminal.print(
        f"limits measured here: {peaks['matmul_gflops']:.0f} GFLOP/s (matmul), "
        f"{peaks['copy_gbytes']:.1f} GB/s (copy)"
    )
    for result in results:
        terminal.print("")
        terminal.print(result.name, style="bold")
        for line in _lines(result, peaks):
            terminal.print(f"  {line}")


def _lines(result: "FunctionResult", peaks: dict[str, float]) -> list[str]:
    import numpy as np

    low, high = np.percentile(result.seconds, [25, 75])
    lines = [
        f"a call: {_time(result.median)}, quartiles {_time(low)} and {_time(high)}, "
        f"{len(result.seconds)} samples"
    ]
    if result.ratio is not None:
        seen = "" if result.ratio.differs else ": no difference seen"
        lines.append(f"over the first: {result.ratio} (95% interval){seen}")
    about = result.about
    phases = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in about["phases"].items())
    lines.append(f"once: {phases}")
    if "memory" in about:
        lines += _rates(result, peaks)
    lines += [_shortened(fault) for fault in result.faults()]
    for name, kernel, kind, milliseconds, executions in result.operations:
        what = name if kernel == name else f"{name} ({kernel})"
        lines.append(f"{_time(milliseconds / 1e3):>9}  {kind}: {what[:80]}, {executions} x")
    return lines


def _rates(result: "FunctionResult", peaks: dict[str, float]) -> list[str]:
    about, parts = result.about, []
    if about["operations"]:
        rate = about["operations"] / result.median / 1e9
        least = "at least " if about["has_while"] else ""
        parts.append(
            f"{least}{_count(about['operations'])}FLOP, {rate:.3g} GFLOP/s "
            f"({rate / peaks['matmul_gflops']:.0%} of matmul)"
        )
    rate = about["bytes"] / result.median / 1e9
    parts.append(
        f"{_count(about['bytes'])}B in and out, {rate:.3g} GB/s "
        f"({rate / peaks['copy_gbytes']:.0%} of copying)"
    )
    memory = ", ".join(f"{name} {_count(size)}B" for name, size in about["memory"].items() if size)
    return ["; ".join(parts), f"memory: {memory}"]


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_REASON else f"{text[:_MOST_REASON]}…"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _count(number: float | int) -> str:
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {prefix}"
    return f"{number:.3g} "
