"""`jcnn bench`: time operations and train steps, and the same work in Flax and PyTorch."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn import names, strict_json
from jcnn.cli.function_timing import (
    add_function_arguments,
    print_changes,
    refuse_function_arguments,
    time_function,
)
from jcnn.cli.limits import check_at_most
from jcnn.cli.output_arguments import add_output_arguments
from jcnn.cli.tables import Column, console, table
from jcnn.errors import UsageError, nearest

if TYPE_CHECKING:
    from jcnn.bench.diagnosis import DiagnosisResult
    from jcnn.bench.ops import OpResult
    from jcnn.bench.processes import ProcessResult
    from jcnn.bench.steps import StepsResult
    from jcnn.bench.sweep import SweepResult

RIVALS = ("flax", "torch")
_MOST_ROUNDS = 10_000
PLOTS = (".svg", ".png", ".pdf")


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        help="time operations, train steps and whole commands on this machine",
        description="Time train steps, operations (forward and backward pass, alone and in a "
        "compiled loop), and `jcnn compare` as a process. All sides are timed in alternation, so "
        "that their ratios hold on a noisy machine.",
    )
    parser.add_argument(
        "function",
        nargs="?",
        help="time this function of your own, module:function, instead (default: jcnn's work)",
    )
    parser.add_argument(
        "--versus",
        nargs="+",
        default=[],
        metavar="RIVAL",
        help="also time flax, torch, or both; other functions beside your own (default: neither)",
    )
    add_function_arguments(parser)
    parser.add_argument(
        "--torch-python",
        default=sys.executable,
        metavar="PATH",
        help="an interpreter that imports torch and numpy (default: this one)",
    )
    parser.add_argument(
        "--only", metavar="TEXT", help="time only what has this text in its name (default: all)"
    )
    parser.add_argument(
        "--sweep",
        action="store_true",
        help="measure how speed and memory grow with runs, width and batch size instead",
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help="plot the sweep as .svg, .png or .pdf (default: no plot)",
    )
    parser.add_argument("--rounds", type=int, default=20, help="samples per side (default: 20)")
    parser.add_argument(
        "--dtype",
        help="dtype of operations and train steps, such as bfloat16 (default: float32)",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="write the results to this JSON file (default: none)"
    )
    add_output_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Time everything chosen and print each result when it is ready."""
    if chosen.compare:
        return print_changes(chosen)
    if chosen.function:
        return time_function(chosen)
    refuse_function_arguments(chosen)
    dtype = _check(chosen)

    from jcnn import engine

    engine.use_all_cores()

    from jcnn import bench
    from jcnn.bench.torch_side import TorchSide

    results: dict[str, Any] = {"hardware": bench.hardware()}
    with ExitStack() as stack:
        torch = None
        if "torch" in chosen.versus:
            torch = stack.enter_context(TorchSide(chosen.torch_python))
            results["hardware"] |= {f"torch's {k}": v for k, v in torch.versions.items()}
        peaks = bench.measure_peaks(dtype or "float32")
        results["peaks"] = peaks._asdict()
        if not chosen.json:
            console().print(", ".join(f"{k} {value}" for k, value in results["hardware"].items()))
            console().print(
                f"limits measured here: {peaks.matmul_gflops:.0f} GFLOP/s (matmul), "
                f"{peaks.copy_gbytes:.1f} GB/s (copy)\n"
            )
            sys.stdout.flush()
        kinds = _timed(chosen, dtype, peaks, torch)
        for kind, timed in kinds.items():
            results[kind] = []
            for result in timed:
                results[kind].append(result.to_json())
                if chosen.out:
                    Path(chosen.out).write_text(strict_json.dumps(results) + "\n")
                if not chosen.json:
                    _PRINTED[kind](result)
    if not any(results[kind] for kind in kinds):
        raise UsageError(f"--only {chosen.only}: nothing has that in its name")
    if chosen.plot:
        _plot(results, chosen.plot)
    if chosen.json:
        print(strict_json.dumps(results))
    return 0


def _check(chosen: argparse.Namespace) -> Any:
    """Raise UsageError if the arguments do not fit together; return the dtype, if one is given."""
    for rival in chosen.versus:
        if rival not in RIVALS:
            raise nearest("rival", rival, RIVALS)
    if chosen.rounds < 1:
        raise UsageError(f"--rounds {chosen.rounds}; expected at least 1")
    check_at_most("--rounds", chosen.rounds, _MOST_ROUNDS)
    if chosen.sweep and (chosen.versus or chosen.only):
        raise UsageError("--sweep times jcnn's engine alone; drop --versus and --only")
    if chosen.plot and not chosen.sweep:
        raise UsageError("--plot draws the sweep; add --sweep")
    if chosen.plot and Path(chosen.plot).suffix not in PLOTS:
        raise UsageError(f"--plot {chosen.plot}; expected a name that ends in {', '.join(PLOTS)}")
    for path in filter(None, (chosen.out, chosen.plot)):
        Path(path).touch()  # fail now, not after the timing, if the file cannot be written
    dtype = None if chosen.dtype is None else names.lookup("dtype", chosen.dtype)
    if dtype is not None and "flax" in chosen.versus:
        raise UsageError("--dtype does not apply to Flax's side; drop flax from --versus")
    return dtype


def _timed(chosen: argparse.Namespace, dtype: Any, peaks: Any, torch: Any) -> dict[str, Any]:
    """Return the iterators that time what was chosen, by kind of result."""
    from jcnn import bench

    if chosen.sweep:
        return {"sweep": bench.run_sweep(rounds=chosen.rounds, dtype=dtype)}
    options: dict[str, Any] = {
        "rounds": chosen.rounds,
        "chosen": lambda name: (chosen.only or "") in name,
    }
    rivals: dict[str, Any] = {"versus": tuple(chosen.versus), "torch": torch}
    return {
        "steps": bench.run_steps(peaks, dtype=dtype, **rivals, **options),
        "ops": bench.run_ops(peaks, dtype=dtype, **rivals, **options),
        "diagnosis": bench.run_diagnosis(**options),
        "processes": bench.run_processes(**options),
    }


def _plot(results: dict[str, Any], path: str) -> None:
    from jcnn.report import plot_sweep, save

    points = {part["name"]: part["points"] for part in results["sweep"]}
    device = f"{results['hardware']['processor']}, {results['hardware']['devices']}"
    save(plot_sweep(points, f"digits CNN, batch 64, 16 runs unless varied; {device}"), path)


def _print_timings(result: "DiagnosisResult | OpResult | StepsResult") -> None:
    ours = result.best()
    timings = result.milliseconds
    ratios = [
        f"{timing['median'] / ours:.1f} x" if side.startswith(RIVALS) else ""
        for side, timing in timings.items()
    ]
    columns = [
        Column("side", list(timings)),
        Column("ms", [f"{timing['median']:.3f}" for timing in timings.values()], numeric=True),
        Column("quartiles", list(map(_quartiles, timings.values())), numeric=True),
        Column("ratio", ratios, numeric=True),
    ]
    _print_columns(f"{result.name}: {result.summary()}", columns)


def _quartiles(timing: dict[str, float]) -> str:
    return f"[{timing['low']:.3f}, {timing['high']:.3f}]"


def _print_figures(result: "ProcessResult") -> None:
    columns = [
        Column("figure", list(result.figures)),
        Column("value", [f"{value:.3f}" for value in result.figures.values()], numeric=True),
    ]
    _print_columns(f"{result.name}:", columns)


def _print_points(result: "SweepResult") -> None:
    points = result.points
    quartiles = [f"[{point['low']:.1f}, {point['high']:.1f}]" for point in points]
    columns = [
        Column(result.name, [f"{point['value']:g}" for point in points], numeric=True),
        Column(
            "model steps/s", [f"{point['steps_per_second']:.1f}" for point in points], numeric=True
        ),
        Column("quartiles", quartiles, numeric=True),
        Column("MB per device", [f"{point['megabytes']:.1f}" for point in points], numeric=True),
    ]
    _print_columns("", columns)


def _print_columns(title: str, columns: list[Column]) -> None:
    terminal = console()
    if title:
        terminal.print(title)
    terminal.print(table(columns, terminal.width))
    terminal.print()
    sys.stdout.flush()


_PRINTED: dict[str, Any] = {
    "steps": _print_timings,
    "ops": _print_timings,
    "diagnosis": _print_timings,
    "processes": _print_figures,
    "sweep": _print_points,
}
