"""How examples reach the devices: all at once, or in windows if they do not fit.

A feed supplies `Data` of fixed shapes and the batches as indices into it. Both feeds select the
same examples in the same order, so a run's numbers do not depend on the feed.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from jcnn.data.on_disk import is_on_disk
from jcnn.engine._devices import replicate, replicated_shapes, shard_runs
from jcnn.training.run import Data

# The bytes of a window, if examples are in a file.
_FROM_FILE = 2**30


class Call(NamedTuple):
    """The arguments of one call, on the devices; `stop` is the step or batch that it reaches."""

    batches: Any
    data: Any
    ranges: Any
    stop: int


class Whole:
    """A feed that keeps all examples on every device."""

    def __init__(self, data: Data, mesh: Mesh) -> None:
        self.shapes = replicated_shapes(mesh, data)
        self._host, self._mesh = data, mesh
        self._data: Data | None = None
        self._batches: Any = None

    def start(self, batches: np.ndarray) -> None:
        """Set the epoch's batches, indices of shape `(runs, steps, batch_size)`."""
        if self._data is None:
            self._data = replicate(self._mesh, self._host)
        self._batches = shard_runs(self._mesh, batches)

    def train(self, first: int, stop: int) -> Call:
        """Return the call that trains the steps `first` to `stop`."""
        ranges = replicate(self._mesh, _ranges(first, stop, 0, 0))
        return Call(self._batches, self._data, ranges, stop)

    def evaluate(self, first: int, stop: int) -> Call:
        """Return the call that evaluates the held-out batches `first` to `stop`."""
        ranges = replicate(self._mesh, _ranges(0, 0, first, stop))
        return Call(self._batches, self._data, ranges, stop)


class Streamed:
    """A feed that holds a window of at most `memory` bytes of examples on each device.

    A quarter of the window holds held-out batches, the rest the training examples that the next
    steps of all runs need. A call reaches as far as its window does. The window after it is read
    in another thread while the devices train.

    Raises ValueError if the examples of one step do not fit.
    """

    def __init__(self, data: Data, mesh: Mesh, seeds: list[int], batch_size: int, memory: int):
        self._host, self._mesh = data, mesh
        # Runs of the same seed see the same batches.
        self._distinct = [seeds.index(seed) for seed in dict.fromkeys(seeds)]
        per_step = len(self._distinct) * batch_size
        example = _bytes(data.inputs) // len(data.inputs)
        held_batch = _bytes(data.held_inputs) // len(data.held_inputs)
        self._held = min(max(memory // 4 // held_batch, 1), len(data.held_inputs))
        self._slots = min(max(memory - self._held * held_batch, 0) // example, len(data.inputs))
        if self._slots < per_step:
            raise ValueError(
                f"data_memory={memory}: a step of {len(self._distinct)} seeds in batches of "
                f"{batch_size} requires {per_step * example + held_batch} bytes; give more, or use "
                "smaller batches or fewer seeds"
            )
        self._steps = (
            len(data.inputs) if self._slots == len(data.inputs) else (self._slots // per_step)
        )
        parts = self._window(np.zeros(0, np.int64)) | self._held_window(0)
        self.shapes = replicated_shapes(mesh, data._replace(**parts))
        self._on_device = {"mean": data.mean, "std": data.std}
        self._training = _Windows(self._steps, self._train_window)
        self._evaluation = _Windows(self._held, lambda first, _: self._held_window(first))
        self._evaluation.reset(len(data.held_inputs))
        self._batches: Any = None
        self._order = np.zeros((0, 0, 0), np.int32)

    def start(self, batches: np.ndarray) -> None:
        """Set the epoch's batches, indices of shape `(runs, steps, batch_size)`."""
        self._order = batches
        self._training.reset(batches.shape[1])

    def train(self, first: int, stop: int) -> Call:
        """Return the call that trains from `first` to `stop`, or as far as a window reaches."""
        self._send(self._training, first)
        if not self._evaluation.covers(0):
            self._send(self._evaluation, 0)
        stop = min(stop, self._training.until)
        return self._call(_ranges(first, stop, 0, 0), stop)

    def evaluate(self, first: int, stop: int) -> Call:
        """Return the call that evaluates held-out batches from `first` as far as a window reaches.

        It reaches `stop` at most.
        """
        if "inputs" not in self._on_device:  # resumed at the end of an epoch
            self._send(self._training, 0)
        self._send(self._evaluation, first)
        start, stop = self._evaluation.first, min(stop, self._evaluation.until)
        return self._call(_ranges(0, 0, first - start, stop - start), stop)

    def _send(self, windows: "_Windows", first: int) -> None:
        """Bring the window that begins with `first` to the devices, unless one there covers it."""
        if windows.covers(first):
            return
        parts = windows.take(first)
        for name in parts:
            self._on_device.pop(name, None)  # before the new window takes its place
        if "batches" in parts:
            self._batches = shard_runs(self._mesh, parts.pop("batches"))
        self._on_device |= replicate(self._mesh, parts)

    def _call(self, ranges: np.ndarray, stop: int) -> Call:
        data = Data(**self._on_device)
        return Call(self._batches, data, replicate(self._mesh, ranges), stop)

    def _train_window(self, first: int, stop: int) -> dict[str, np.ndarray]:
        part = self._order[:, first:stop]
        examples = np.unique(part[self._distinct])
        batches = np.zeros_like(self._order)
        batches[:, first:stop] = np.searchsorted(examples, part)
        return self._window(examples) | {"batches": batches}

    def _window(self, examples: np.ndarray) -> dict[str, np.ndarray]:
        window = {}
        for name in ("inputs", "targets"):
            array = getattr(self._host, name)
            window[name] = np.zeros((self._slots, *array.shape[1:]), array.dtype)
            window[name][: len(examples)] = array[examples]
        return window

    def _held_window(self, first: int) -> dict[str, Any]:
        window: dict[str, Any] = {
            # Batches are numbered from the window's start, and so is the first test batch.
            "validation_batches": np.int32(int(self._host.validation_batches) - first)
        }
        for name in ("held_inputs", "held_targets", "held_weights"):
            array = getattr(self._host, name)
            window[name] = np.zeros((self._held, *array.shape[1:]), array.dtype)
            part = array[first : first + self._held]
            window[name][: len(part)] = part
        return window


class _Windows:
    """Windows of at most `size` steps, made by `make(first, stop)`, the next one in a thread."""

    def __init__(self, size: int, make: Callable[[int, int], dict[str, Any]]) -> None:
        self._size, self._make = size, make
        self.reset(0)

    def reset(self, end: int) -> None:
        """Forget all windows; the steps are now 0 to `end`."""
        self._end = end
        self.first = self.until = 0
        self._next: tuple[int, Future[dict[str, Any]]] | None = None

    def covers(self, first: int) -> bool:
        """Return whether the last window taken has this step."""
        return self.first <= first < self.until

    def take(self, first: int) -> dict[str, Any]:
        """Return the window that begins with `first`, and make the one after it in a thread."""
        if self._next is not None and self._next[0] == first:
            window = self._next[1].result()
        else:
            window = self._make(first, min(first + self._size, self._end))
        self.first, self.until = first, min(first + self._size, self._end)
        self._next = None
        if self.until < self._end:
            self._next = (
                self.until,
                _in_thread(self._make, self.until, min(self.until + self._size, self._end)),
            )
        return window


def _in_thread(make: Callable[..., dict[str, Any]], *arguments: int) -> "Future[dict[str, Any]]":
    future: Future[dict[str, Any]] = Future()

    def run() -> None:
        try:
            future.set_result(make(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="jcnn window", daemon=True).start()
    return future


def make_feed(
    data: Data, mesh: Mesh, seeds: list[int], batch_size: int, memory: int | None
) -> Whole | Streamed:
    """Return a `Whole` feed if the data fits in `memory` bytes, else a `Streamed` one.

    None means half of a device's memory, or no limit if the device does not report its memory.
    Examples in a file are in a `Streamed` feed in any case, by default of 1 GiB: the host holds two
    windows.
    """
    in_file = is_on_disk(data.inputs)
    if memory is None:
        stats = mesh.devices.flat[0].memory_stats() or {}
        memory = _FROM_FILE if in_file else stats.get("bytes_limit", 0) // 2 or None
    if memory is None or (sum(_bytes(leaf) for leaf in data) <= memory and not in_file):
        return Whole(data, mesh)
    return Streamed(data, mesh, seeds, batch_size, memory)


def _ranges(first: int, stop: int, held_first: int, held_stop: int) -> np.ndarray:
    return np.array([first, stop, held_first, held_stop], np.int32)


def _bytes(array: Any) -> int:
    return int(array.nbytes)
