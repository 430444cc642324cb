"""The training of a compiled group, from its initial values or a snapshot to the end."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jcnn.diagnosis.history import LayerHistory
from jcnn.engine._devices import RUNS, shard_runs
from jcnn.engine._feed import Call
from jcnn.engine._group import CompiledGroup
from jcnn.engine._pacing import Pacer
from jcnn.engine._snapshot import (
    Outcome,
    Snapshot,
    restore_states,
    snapshot_outcomes,
    take_snapshot,
)
from jcnn.training import Watch
from jcnn.training.averaging import evaluated_params
from jcnn.training.early_stopping import best_epoch, chosen_weights, keep_best, use_kept
from jcnn.training.run import History
from jcnn.training.watch import UNKNOWN

# The target duration of a call: the interval of progress reports, and what an interruption loses.
SECONDS_PER_CALL = 1.0
# The number of steps in the first call, summed over the runs of one device.
FIRST_CALL = 200


class Training:
    """A group in training: its states on the devices, and the `outcomes` so far.

    `run` trains to the end, from the initial values or from a snapshot of the same group. A
    training that is resumed from a snapshot is bit-identical to one that was never interrupted.
    """

    def __init__(self, compiled: CompiledGroup, snapshot: Snapshot | None = None) -> None:
        """Draw the initial values, or restore `snapshot`; ValueError if it does not fit."""
        self._compiled = compiled
        self._feed = compiled.feed
        self._values = shard_runs(compiled.mesh, compiled._hyperparameters())
        self._history: History | None = None
        if snapshot is None:
            self._states = shard_runs(compiled.mesh, compiled.initial_states())
            self._epoch, self._done = 0, 0
            steps = compiled.steps_per_epoch * compiled.group.epochs
            self.outcomes = [Outcome(steps=steps) for _ in compiled.group.runs]
        else:
            shapes = compiled.initialization.shapes()
            states = restore_states(shapes, compiled.rows, snapshot)
            self._states = shard_runs(compiled.mesh, compiled.end_empty_rows(states))
            self._epoch, self._done = snapshot.place["epoch"], snapshot.place["done"]
            self.outcomes = snapshot_outcomes(snapshot)

    @property
    def _devices(self) -> int:
        """The number of devices that have a run."""
        return min(self._compiled.mesh.size, len(self.outcomes))

    @property
    def steps(self) -> int:
        """The number of steps that each run has trained; all of them once every run has stopped."""
        per_epoch = self._compiled.steps_per_epoch
        if self._has_stopped:
            return self._compiled.group.epochs * per_epoch
        return self._epoch * per_epoch + self._done

    @property
    def _has_stopped(self) -> bool:
        """Whether every run has stopped early, been tested, or diverged."""
        return self._compiled.group.recipe.patience is not None and not any(
            map(_goes_on, self.outcomes)
        )

    @property
    def epochs(self) -> int:
        """The number of epochs completed."""
        return self._epoch

    @property
    def seconds(self) -> float:
        """The seconds of training so far, without compilation and evaluation."""
        return sum(outcome.seconds for outcome in self.outcomes) / self._devices

    def model(self, run: int) -> nnx.Module:
        """Return a run's current model, with the weights that are evaluated, in that mode."""
        states, row = self._states, self._compiled.rows[run]
        parts = (states.params, states.rest, states.average, states.optimizer)
        params, rest, average, optimizer = jax.tree.map(lambda leaf: leaf[row], parts)
        params = evaluated_params(params, average, optimizer)
        kept = jax.tree.map(lambda leaf: leaf[row], states.kept)
        params, rest = chosen_weights(kept, params, rest)
        return nnx.merge(self._compiled.initialization.structure.evaluate, params, rest)

    def snapshot(self) -> Snapshot:
        """Copy the current state of the training to the host."""
        return take_snapshot(
            self._states, self._compiled.rows, self._epoch, self._done, self.outcomes
        )

    def run(self) -> Iterator[int]:
        """Train every run to the end; yield the number of steps done after each call."""
        compiled = self._compiled
        per_epoch, epochs = compiled.steps_per_epoch, compiled.group.epochs
        first_steps = max(FIRST_CALL * compiled.mesh.size // len(self.outcomes), 1)
        pacer = Pacer(SECONDS_PER_CALL, first_steps)
        while self._epoch < epochs and not self._has_stopped:
            self.start(self._epoch)
            for call in pacer.calls(lambda *steps: self.train(*steps)[0], self._done, per_epoch):
                self._add_seconds(call.seconds)
                self._done = call.stop
                yield self.steps
            last = self._epoch == epochs - 1
            stopping = compiled.group.recipe.patience is not None
            tests = last and not stopping
            self.evaluate(compiled.held_batches if tests else compiled.validation_batches)
            self.record(self.outcomes)
            self._epoch, self._done = self._epoch + 1, 0
            if stopping:
                self._stop_early()
                if last or self._has_stopped:
                    self._test_kept()
            yield self.steps

    def start(self, epoch: int) -> None:
        """Send the batches of an epoch to the devices."""
        self._feed.start(self._compiled._batches(epoch))

    def train(self, first: int, stop: int) -> tuple[int, History]:
        """Train the epoch's steps from `first` on; return the step reached and the epoch's means.

        The step reached is `stop`, or earlier if a feed's window ends before it.
        """
        call = self._feed.train(first, stop)
        return call.stop, self._call(call)

    def evaluate(self, stop: int, *, first: int = 0) -> None:
        """Evaluate the held-out batches from `first` to `stop`."""
        while first < stop:
            call = self._feed.evaluate(first, stop)
            self._call(call)
            first = call.stop

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Add the epoch's means and measurements to the outcomes."""
        rows = self._compiled.rows
        if self._history is not None:
            held = np.asarray(self._states.held_sums)[rows, :, -1] > 0
            history = jax.tree.map(lambda means: means[rows], self._history)
            _record_means(outcomes, history, np.asarray(self._states.diverged_at)[rows], held)
        watch = self._compiled.group.recipe.watch
        if watch is not None:
            first = self._epoch * self._compiled.steps_per_epoch
            _record_measurements(outcomes, watch, first, np.asarray(self._states.watched)[rows])

    def _stop_early(self) -> None:
        """Keep the weights of the runs that improved, and stop those that did not."""
        compiled, recipe = self._compiled, self._compiled.group.recipe
        assert recipe.patience is not None
        improved, stopped = np.zeros((2, compiled.size), bool)
        for row, outcome in zip(compiled.rows, self.outcomes, strict=True):
            if outcome.diverged_at is not None:
                outcome.best_epoch = None
            elif _goes_on(outcome):
                curve = outcome.curves[f"validation_{recipe.task.metric}"]
                best = best_epoch(curve, recipe.task.higher_is_better)
                # Without any value, the last weights are kept.
                outcome.best_epoch = self._epoch if best is None else best + 1
                improved[row] = outcome.best_epoch == self._epoch
                if self._epoch - outcome.best_epoch >= recipe.patience:
                    outcome.epochs = self._epoch
            stopped[row] = outcome.epochs is not None
        self._states = _on_runs(keep_best, compiled.mesh)(self._states, improved, stopped)

    def _test_kept(self) -> None:
        """Test the weights that were kept; after the end, curves have the values of their epoch."""
        compiled = self._compiled
        self._states = _on_runs(use_kept, compiled.mesh)(self._states)
        self.evaluate(compiled.held_batches, first=compiled.validation_batches)
        assert self._history is not None
        for row, outcome in zip(compiled.rows, self.outcomes, strict=True):
            if outcome.diverged_at is not None:
                missing = [math.nan] * (compiled.group.epochs - self._epoch)
                for name in outcome.curves:
                    outcome.curves[name] += missing
                continue
            assert outcome.best_epoch is not None
            outcome.epochs = outcome.epochs or self._epoch
            for name, curve in outcome.curves.items():
                best = curve[outcome.best_epoch - 1]
                rest = [best] * (compiled.group.epochs - outcome.epochs)
                outcome.curves[name] = [*curve[: outcome.epochs], *rest]
            for name, values in self._history.test.items():
                outcome.test[name] = float(values[row])

    def _add_seconds(self, seconds: float) -> None:
        """Divide the seconds of a call among the runs; one that has stopped takes none."""
        training = [outcome for outcome in self.outcomes if outcome.epochs is None]
        for outcome in training:
            outcome.seconds += seconds * self._devices / len(training)

    def _call(self, call: Call) -> History:
        with jax.disable_jit(False):  # the program is compiled already
            self._states, history = self._compiled._advance(
                self._states, self._values, call.batches, call.data, call.ranges
            )
        self._history = jax.device_get(history)
        return self._history


def _goes_on(outcome: Outcome) -> bool:
    return outcome.epochs is None and outcome.diverged_at is None


@functools.cache
def _on_runs(function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """Compile a function of states that returns states, which stay on their devices."""
    sharding = NamedSharding(mesh, PartitionSpec(RUNS))
    compiled = jax.jit(function, donate_argnums=0, out_shardings=sharding)

    def call(*arguments: Any) -> Any:
        with jax.disable_jit(False):
            return compiled(*arguments)

    return call


def _record_means(
    outcomes: Sequence[Outcome], history: History, diverged: np.ndarray, held: np.ndarray
) -> None:
    """Add the means; NaN where `held` says that no example was evaluated (validation, test)."""
    for i, outcome in enumerate(outcomes):
        outcome.diverged_at = None if diverged[i] < 0 else int(diverged[i])
        validated, tested = held[i]
        for name in history.train:
            train, validation, test = (float(part[name][i]) for part in history)
            outcome.curves.setdefault(f"train_{name}", []).append(train)
            outcome.curves.setdefault(f"validation_{name}", []).append(
                validation if validated else math.nan
            )
            outcome.test[name] = test if tested else math.nan


def _record_measurements(
    outcomes: Sequence[Outcome], watch: Watch, first: int, measured: np.ndarray
) -> None:
    """Add what the watch measured of each run in the epoch that starts at step `first`.

    NaN stands for what a run did not reach because it diverged, and for what a layer does not have.
    """
    steps = range(first, first + watch.steps, watch.every)
    for outcome, numbers in zip(outcomes, measured, strict=True):
        end = math.inf if outcome.diverged_at is None else outcome.diverged_at
        if outcome.epochs is not None:
            end = outcome.epochs * watch.steps - 1
        reached = np.array([step <= end for step in steps])[:, None, None]
        values = np.where(reached & (numbers != UNKNOWN), numbers, np.nan)
        # Four digits are enough to judge a layer, and take a fifth of the space.
        rows = {
            column: [[float(f"{value:.4g}") for value in row] for row in values[:, :, i]]
            for i, column in enumerate(watch.columns)
        }
        history = outcome.history or LayerHistory(layers=watch.layers, **watch.facts)
        outcome.history = history.extended(steps, rows)
