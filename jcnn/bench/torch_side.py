"""PyTorch's side: one process that uses all cores, and one process per core."""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import jax

from jcnn.bench.json_process import JsonProcess

_WORKER = Path(__file__).with_name("torch_worker.py")


class _Process(JsonProcess):
    def __init__(self, python: str, **hello: Any) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "PYTHONPATH")}
        super().__init__([python, str(_WORKER)], environment)
        try:
            self.versions = self.ask({"do": "hello", **hello})
        except BaseException:
            self.close()
            raise

    def receive(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = super().receive()
        except ValueError as error:
            raise ValueError(
                f"PyTorch: {error}; name an interpreter that imports torch and numpy with "
                "--torch-python"
            ) from None
        except RuntimeError as error:
            raise RuntimeError(f"PyTorch: {error}") from None
        return answer


class TorchSide:
    """PyTorch's processes; a context manager that ends them.

    `python` is any interpreter that can import torch and numpy. If JAX runs on a GPU, so does
    PyTorch, in one process: `device` is then "cuda", and otherwise "cpu". Raises ValueError if the
    interpreter cannot be used.
    """

    def __init__(self, python: str) -> None:
        self.device = device = "cuda" if jax.default_backend() == "gpu" else "cpu"
        cores = sorted(os.sched_getaffinity(0))
        with ExitStack() as stack:
            try:
                process = _Process(python, device=device, threads=len(cores))
            except OSError as error:
                raise ValueError(f"--torch-python {python}: {error.strerror}") from None
            self._all = stack.enter_context(closing(process))
            self.versions = process.versions
            if device == "cuda" and "device" not in self.versions:
                raise ValueError(
                    f"JAX runs on a GPU, but {python} has PyTorch {self.versions['torch']}, which "
                    "finds none; name an interpreter whose PyTorch is built for CUDA with "
                    "--torch-python, or run both on the CPU with JAX_PLATFORMS=cpu"
                )
            self._each = [
                stack.enter_context(closing(_Process(python, device=device, threads=1, core=core)))
                for core in (cores if device == "cpu" else [])
            ]
            self._exit_stack = stack.pop_all()

    def __enter__(self) -> "TorchSide":
        return self

    def __exit__(self, *_: Any) -> None:
        self._exit_stack.close()

    def op(
        self,
        kind: str,
        shape: Sequence[int],
        options: Mapping[str, Any],
        layout: str,
        dtype: str = "float32",
    ) -> Callable[[], float]:
        """Return a function that measures the seconds of one forward and backward, on all cores."""
        request = {
            "do": "op",
            "op": kind,
            "shape": shape,
            "options": options,
            "layout": layout,
            "dtype": dtype,
        }
        self._ask([self._all], {**request, "times": 2})
        once = self._ask([self._all], {**request, "times": 2})[0]["seconds"] / 2
        times = int(min(max(0.05 / once, 1), 1000))
        return lambda: self._ask([self._all], {**request, "times": times})[0]["seconds"] / times

    def train(self, request: Mapping[str, Any], processes: str) -> "TorchTraining":
        """Return the training of one model on "all" cores, or of one per core on "each"."""
        selected = [self._all] if processes == "all" else self._each
        return TorchTraining(lambda r: self._ask(selected, r), dict(request), len(selected))

    @staticmethod
    def _ask(processes: Sequence[_Process], request: Mapping[str, Any]) -> list[dict[str, Any]]:
        for process in processes:
            process.send(request)
        return [process.receive() for process in processes]


class TorchTraining:
    """One way of training in PyTorch."""

    def __init__(
        self,
        ask: Callable[[Mapping[str, Any]], list[dict[str, Any]]],
        request: dict[str, Any],
        models: int,
    ) -> None:
        self._ask, self._request, self._models = ask, request, models

    def losses(self, steps: int) -> list[float]:
        """Return the losses of the first steps."""
        losses: list[float] = self._ask({**self._request, "steps": steps})[0]["losses"]
        return losses

    def sample(self, steps: int) -> float:
        """Return the seconds per step and model."""
        answers = self._ask({**self._request, "steps": steps})
        return max(float(answer["seconds"]) for answer in answers) / (steps * self._models)


# The modes of torch.compile that are tried, and their names; reduce-overhead uses CUDA graphs.
_MODES = {
    "cpu": {None: "eager", "default": "compiled"},
    "cuda": {None: "eager", "default": "compiled", "reduce-overhead": "compiled, CUDA graphs"},
}
_PROCESSES = {"all": "one process", "each": "one process per core"}


def torch_ways(
    torch: TorchSide, path: Path, learning_rate: float, dtype: str = "float32"
) -> dict[str, TorchTraining]:
    """Return every way to train the network in the file `path`, by name."""
    ways = {}
    processes = ("all", "each") if torch.device == "cpu" else ("all",)
    for mode, layout, process in itertools.product(
        _MODES[torch.device], ("nchw", "channels_last"), processes
    ):
        name = f"torch, {layout}, {_MODES[torch.device][mode]}"
        if len(processes) > 1:
            name += f", {_PROCESSES[process]}"
        request = {
            "do": "train",
            "path": str(path),
            "layout": layout,
            "compiled": mode,
            "learning_rate": learning_rate,
            "dtype": dtype,
        }
        ways[name] = torch.train(request, process)
    return ways
