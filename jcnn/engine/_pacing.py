"""The adaptive training loop: calls of a compiled step that each take about the same time."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple


class TimedCall(NamedTuple):
    """One call that trained the steps `first` to `stop`, and the seconds that it took."""

    first: int
    stop: int
    seconds: float


class Pacer:
    """Splits ranges of steps into calls that each take about `seconds`.

    The first call trains `steps` steps. After each call `steps` is set to the number of steps that
    would have taken `seconds`, at least 1. One pacer serves all epochs of a training.

    >>> def train(first, stop):
    ...     return stop  # instantly, so the next call trains all that is left
    >>> [(call.first, call.stop) for call in Pacer(seconds=1.0, steps=2).calls(train, 0, 10)]
    [(0, 2), (2, 10)]
    """

    def __init__(self, seconds: float, steps: int) -> None:
        self.seconds, self.steps = seconds, steps

    def calls(self, train: Callable[[int, int], int], first: int, stop: int) -> Iterator[TimedCall]:
        """Train the steps `first` to `stop` call by call; yield after each call.

        `train(first, stop)` trains up to `stop` and returns the step that it reached, which may be
        an earlier one.
        """
        while first < stop:
            began = time.perf_counter()
            reached = train(first, min(first + self.steps, stop))
            seconds = time.perf_counter() - began
            self.steps = max(int((reached - first) * self.seconds / max(seconds, 1e-9)), 1)
            yield TimedCall(first, reached, seconds)
            first = reached
