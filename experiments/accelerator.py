"""How fast and how exact is jcnn on a GPU or TPU?

Command: python experiments/accelerator.py --torch --cifar10 PATH
Cost: 13 minutes on one GPU, in two calls with parts left out. Nothing is started after `--minutes`
(8); what is left out is listed. What is measured again (`--only`) replaces its earlier result.
Result (experiments/results/accelerator-DEVICE.json, docs/use/accelerators.md): on an H100, pooling,
convolution and normalization agree with float64 to 5e-7 at the highest precision. Models train
2.3 to 7.7 times faster than one model in PyTorch, and 4.7 times faster together than alone.

The parts, in order:

- `peaks`: the rates of matrix products and copying;
- `exactness`: values and gradients of every operation, against the CPU's in float64;
- `repeatability`: whether the same operation or training gives the same bits again;
- `cifar10`: the speed recipe, from the first step to the test accuracy (needs `--cifar10`);
- `operations`: `jcnn bench` of operations, with PyTorch on the same device (`--torch`);
- `kernels`: where the time of a training step goes, by JAX's profiler;
- `convolutions`: ways to convolve for many models at once;
- `studies`: training of 1 to 512 models, together, in chunks or one after another;
- `training`: `jcnn bench` of train steps, with PyTorch.

On a CPU, `--smoke` runs the same code in tiny sizes.
"""

import argparse
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

# PyTorch's process needs some of the memory too.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax

from accelerator_parts import PARTS
from accelerator_parts.part import Setting
from jcnn import engine, strict_json
from jcnn.bench import hardware

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run the chosen parts and save every figure as soon as it is known."""
    arguments = parser().parse_args()
    engine.use_all_cores()
    setting = Setting(
        smoke=arguments.smoke,
        deadline=time.monotonic() + 60 * arguments.minutes,
        torch_python=arguments.torch,
        cifar10=arguments.cifar10,
    )
    path = out_path(arguments.out)
    content = earlier(path) | {"hardware": hardware()}
    for name in arguments.only or PARTS:
        began = time.monotonic()
        figures = content["parts"].setdefault(name, {})
        left_out = setting.start(name)
        content["failed"].pop(name, None)
        try:
            for key, value in PARTS[name](setting):
                figures[key] = value
                print(f"{name}, {key}: {json.dumps(strict_json.plain(value))}", flush=True)
                path.write_text(strict_json.dumps(content) + "\n")
        except Exception as error:  # the other parts are measured all the same
            traceback.print_exc()
            reason = " ".join(str(error).split())
            content["failed"][name] = f"{type(error).__name__}: {reason[:500]}"
        figures["left out"] = [label for label in left_out if label not in figures]
        figures["seconds"] = round(time.monotonic() - began, 1)
        path.write_text(strict_json.dumps(content) + "\n")
    for name, reason in content["failed"].items():
        print(f"{name} failed: {reason}", file=sys.stderr)
    return 1 if content["failed"] else 0


def earlier(path: Path) -> dict[str, Any]:
    """Return the results in `path`, whose parts are replaced when they run again."""
    empty: dict[str, Any] = {"parts": {}, "failed": {}}
    return json.loads(path.read_text()) if path.exists() else empty


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(description="Measure jcnn on an accelerator")
    result.add_argument("--smoke", action="store_true", help="tiny sizes, one round")
    result.add_argument(
        "--only",
        nargs="+",
        default=[],
        choices=PARTS,
        metavar="PART",
        help=f"run these parts, of {', '.join(PARTS)}",
    )
    result.add_argument("--minutes", type=float, default=8.0, help="start nothing later than this")
    result.add_argument("--cifar10", type=Path, help="a folder or archive of CIFAR-10's images")
    result.add_argument(
        "--torch",
        nargs="?",
        const=sys.executable,
        metavar="PYTHON",
        help="also time PyTorch, with this interpreter (default: the one that runs)",
    )
    result.add_argument("--out", type=Path, help="save results.json in this directory")
    return result


def out_path(folder: Path | None) -> Path:
    """Return the file of results, by default one per kind of device."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "results.json"
    kind = jax.local_devices()[0].device_kind
    return RESULTS / f"accelerator-{kind.lower().replace(' ', '-')}.json"


if __name__ == "__main__":
    sys.exit(main())
