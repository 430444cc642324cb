"""How examples reach the devices: all at once, or in windows if they do not fit.

A feed supplies `Data` of fixed shapes and the batches as indices into it. Both feeds select the
same examples in the same order, so a run's numbers do not depend on the feed.
"""

from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from jcnn.engine._devices import replicate, replicated_shapes, shard_runs
from jcnn.training.run import Data


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
    steps of all runs need. A call reaches as far as its window does.

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
        self._train = self._window(np.zeros(0, np.int64))
        self._heldout = self._held_window(0)
        self.shapes = replicated_shapes(mesh, self._data())
        self._batches = np.zeros((0, 0, 0), np.int32)

    def start(self, batches: np.ndarray) -> None:
        """Set the epoch's batches, indices of shape `(runs, steps, batch_size)`."""
        self._batches = batches

    def train(self, first: int, stop: int) -> Call:
        """Return the call that trains from `first` to `stop`, or as far as a window reaches."""
        stop = min(stop, first + self._steps)
        part = self._batches[:, first:stop]
        examples = np.unique(part[self._distinct])
        self._train = self._window(examples)
        batches = np.zeros_like(self._batches)
        batches[:, first:stop] = np.searchsorted(examples, part)
        return self._call(batches, _ranges(first, stop, 0, 0), stop)

    def evaluate(self, first: int, stop: int) -> Call:
        """Return the call that evaluates held-out batches from `first` as far as a window reaches.

        It reaches `stop` at most.
        """
        stop = min(stop, first + self._held)
        self._heldout = self._held_window(first)
        return self._call(np.zeros_like(self._batches), _ranges(0, 0, 0, stop - first), stop)

    def _call(self, batches: np.ndarray, ranges: np.ndarray, stop: int) -> Call:
        return Call(
            shard_runs(self._mesh, batches),
            replicate(self._mesh, self._data()),
            replicate(self._mesh, ranges),
            stop,
        )

    def _data(self) -> Data:
        return self._host._replace(**self._train, **self._heldout)

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


def make_feed(
    data: Data, mesh: Mesh, seeds: list[int], batch_size: int, memory: int | None
) -> Whole | Streamed:
    """Return a `Whole` feed if the data fits in `memory` bytes, else a `Streamed` one.

    None means half of a device's memory, or no limit if the device does not report its memory.
    """
    if memory is None:
        stats = mesh.devices.flat[0].memory_stats() or {}
        memory = stats.get("bytes_limit", 0) // 2 or None
    size = sum(_bytes(leaf) for leaf in data)
    if memory is None or size <= memory:
        return Whole(data, mesh)
    return Streamed(data, mesh, seeds, batch_size, memory)


def _ranges(first: int, stop: int, held_first: int, held_stop: int) -> np.ndarray:
    return np.array([first, stop, held_first, held_stop], np.int32)


def _bytes(array: Any) -> int:
    return int(np.asarray(array).nbytes)
