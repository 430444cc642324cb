"""`jcnn bench`: time operations and train steps, beside the same work in Flax and PyTorch."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn import names, strict_json
from jcnn.cli.output import add_output
from jcnn.errors import UsageError, nearest

if TYPE_CHECKING:
    from jcnn.bench.diagnosis import DiagnosisResult
    from jcnn.bench.ops import OpResult
    from jcnn.bench.processes import ProcessResult
    from jcnn.bench.steps import StepsResult
    from jcnn.bench.sweep import SweepResult

RIVALS = ("flax", "torch")
PLOTS = (".svg", ".png", ".pdf")


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        help="time operations, train steps and whole commands on this machine",
        description="Time train steps, operations (forward and backward, alone and in a compiled "
        "loop), and jcnn compare as a process; all sides interleaved, so that the ratios hold on a "
        "noisy machine.",
    )
    parser.add_argument(
        "--versus", nargs="+", default=[], metavar="RIVAL", help="any of flax, torch"
    )
    parser.add_argument(
        "--torch-python",
        default=sys.executable,
        metavar="PATH",
        help="an interpreter that imports torch and numpy (default: this one)",
    )
    parser.add_argument("--only", metavar="TEXT", help="what has this text in its name")
    parser.add_argument(
        "--sweep",
        action="store_true",
        help="instead: how rate and memory grow with runs, width and batch",
    )
    parser.add_argument("--plot", metavar="FILE", help="draw the sweep (.svg, .png or .pdf)")
    parser.add_argument("--rounds", type=int, default=20, help="samples of each side (default 20)")
    parser.add_argument("--dtype", help="what train steps compute in, such as bfloat16")
    parser.add_argument("--out", metavar="FILE", help="leave the figures in this JSON file")
    add_output(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Time everything chosen and print it as it comes."""
    for rival in chosen.versus:
        if rival not in RIVALS:
            raise nearest("rival", rival, RIVALS)
    if chosen.rounds < 1:
        raise UsageError(f"--rounds {chosen.rounds}; expected at least 1")
    if chosen.sweep and (chosen.versus or chosen.only):
        raise UsageError("--sweep times jcnn's engine alone; drop --versus and --only")
    if chosen.plot and not chosen.sweep:
        raise UsageError("--plot draws the sweep; add --sweep")
    if chosen.plot and Path(chosen.plot).suffix not in PLOTS:
        raise UsageError(f"--plot {chosen.plot}; expected a name that ends in {', '.join(PLOTS)}")
    for path in filter(None, (chosen.out, chosen.plot)):
        Path(path).touch()  # an unwritable place is known before anything is timed
    dtype = None if chosen.dtype is None else names.lookup("dtype", chosen.dtype)
    if dtype is not None and chosen.versus:
        raise UsageError("--dtype has no rivals: they compute in float32; drop --versus")

    from jcnn import engine

    engine.use_all_cores()
    from jcnn import bench
    from jcnn.bench.torch_side import TorchSide

    found: dict[str, Any] = {"hardware": bench.hardware()}
    with ExitStack() as stack:
        torch = None
        if "torch" in chosen.versus:
            torch = stack.enter_context(TorchSide(chosen.torch_python))
            found["hardware"] |= {f"torch's {k}": v for k, v in torch.versions.items()}
        peaks = bench.measure_peaks()
        found["peaks"] = peaks._asdict()
        if not chosen.json:
            print(", ".join(f"{key} {value}" for key, value in found["hardware"].items()))
            print(
                f"limits measured here: {peaks.matmul_gflops:.0f} GFLOP/s (matmul), "
                f"{peaks.copy_gbytes:.1f} GB/s (copy)\n",
                flush=True,
            )
        options: dict[str, Any] = {
            "rounds": chosen.rounds,
            "chosen": lambda name: (chosen.only or "") in name,
        }
        rivals: dict[str, Any] = {"versus": tuple(chosen.versus), "torch": torch}
        parts: dict[str, Any] = {
            "steps": bench.run_steps(peaks, dtype=dtype, **rivals, **options),
            "ops": bench.run_ops(peaks, **rivals, **options),
            "diagnosis": bench.run_diagnosis(**options),
            "processes": bench.run_processes(**options),
        }
        if chosen.sweep:
            parts = {"sweep": bench.run_sweep(rounds=chosen.rounds, dtype=dtype)}
        for kind, results in parts.items():
            found[kind] = []
            for result in results:
                found[kind].append(result.to_json())
                if chosen.out:
                    Path(chosen.out).write_text(strict_json.dumps(found) + "\n")
                if not chosen.json:
                    _PRINTED[kind](result)
    if not any(found[kind] for kind in parts):
        raise UsageError(f"--only {chosen.only}: nothing has that in its name")
    if chosen.plot:
        _plot(found, chosen.plot)
    if chosen.json:
        print(strict_json.dumps(found))
    return 0


def _plot(found: dict[str, Any], path: str) -> None:
    from jcnn.report import plot_sweep, save

    points = {part["name"]: part["points"] for part in found["sweep"]}
    device = f"{found['hardware']['processor']}, {found['hardware']['devices']}"
    save(plot_sweep(points, f"digits CNN, batch 64, 16 runs unless varied; {device}"), path)


def _print_timings(result: "DiagnosisResult | OpResult | StepsResult") -> None:
    ours = result.best()
    print(f"{result.name}: {result.summary()}")
    for side, timing in result.milliseconds.items():
        times = f"  {timing['median'] / ours:6.1f} x" if side.startswith(RIVALS) else ""
        print(
            f"  {side:52} {timing['median']:9.3f} ms  "
            f"[{timing['low']:.3f}, {timing['high']:.3f}]{times}"
        )
    print(flush=True)


def _print_figures(result: "ProcessResult") -> None:
    print(f"{result.name}:")
    for figure, value in result.figures.items():
        print(f"  {figure:52} {value:9.3f}")
    print(flush=True)


def _print_points(result: "SweepResult") -> None:
    print(f"{result.name:>8} {'model steps/s':>16} {'quartiles':>20} {'MB a device':>12}")
    for point in result.points:
        quartiles = f"[{point['low']:.1f}, {point['high']:.1f}]"
        print(
            f"{point['value']:8g} {point['steps_per_second']:16.1f} {quartiles:>20} "
            f"{point['megabytes']:12.1f}"
        )
    print(flush=True)


_PRINTED: dict[str, Any] = {
    "steps": _print_timings,
    "ops": _print_timings,
    "diagnosis": _print_timings,
    "processes": _print_figures,
    "sweep": _print_points,
}
