"""`jcnn bench`: time operations and train steps, beside the same work in Flax and PyTorch."""

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn import names
from jcnn.names import UsageError

if TYPE_CHECKING:
    from jcnn.bench.ops import OpResult
    from jcnn.bench.steps import StepsResult

RIVALS = ("flax", "torch")


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        help="time operations and train steps on this machine",
        description="Time operations (forward and backward, alone and in a compiled loop) and "
        "train steps; all sides interleaved, so that the ratios hold on a noisy machine.",
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
    parser.add_argument("--rounds", type=int, default=20, help="samples of each side (default 20)")
    parser.add_argument("--dtype", help="what train steps compute in, such as bfloat16")
    parser.add_argument("--out", metavar="FILE", help="leave the figures in this JSON file")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Time everything chosen and print it as it comes."""
    for rival in chosen.versus:
        if rival not in RIVALS:
            raise names.nearest("rival", rival, RIVALS)
    if chosen.rounds < 1:
        raise UsageError(f"--rounds {chosen.rounds}; expected at least 1")
    if chosen.out:
        Path(chosen.out).touch()  # an unwritable place is known before anything is timed
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
            "versus": tuple(chosen.versus),
            "torch": torch,
            "chosen": lambda name: (chosen.only or "") in name,
        }
        for kind, results in (
            ("steps", bench.run_steps(peaks, dtype=dtype, **options)),
            ("ops", bench.run_ops(peaks, **options)),
        ):
            found[kind] = []
            for result in results:
                found[kind].append(result.to_json())
                if chosen.out:
                    Path(chosen.out).write_text(json.dumps(found, indent=1) + "\n")
                if not chosen.json:
                    _print(result)
    if not found["steps"] and not found["ops"]:
        raise UsageError(f"--only {chosen.only}: nothing has that in its name")
    if chosen.json:
        print(json.dumps(found, indent=1))
    return 0


def _print(result: "OpResult | StepsResult") -> None:
    ours = result.best()
    print(f"{result.name}: {result.summary()}")
    for side, timing in result.milliseconds.items():
        times = f"  {timing['median'] / ours:6.1f} x" if side.startswith(RIVALS) else ""
        print(
            f"  {side:52} {timing['median']:9.3f} ms  "
            f"[{timing['low']:.3f}, {timing['high']:.3f}]{times}"
        )
    print(flush=True)
