"""A network that trains while it is watched: a thread that tells what it does, until stopped."""

import threading
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcnn import training
from jcnn.engine.group import epoch_batches, steps_per_epoch
from jcnn.errors import UsageError
from jcnn.explore import picture
from jcnn.explore.choice import Choice
from jcnn.explore.subject import Subject
from jcnn.layers import Sequential
from jcnn.names import lookup

# A call of the compiled step takes about so long; the layers are looked at no more often than so.
SECONDS_PER_CALL = 0.1
SECONDS_PER_LOOK = 0.5
BATCH = 32
MOST_EPOCHS = 200
MOMENTUM = 0.9

Tell = Callable[[dict[str, Any]], None]


class Live(threading.Thread):
    """One training. `tell` gets messages of kind "training" and "flow"; the last says why it ended.

    It ends when `stop` is called, after 200 epochs, or when its loss is no longer finite.
    `learning_rate` and `example` may be changed while it runs; afterwards `look` tells once more
    what the layers do, with the weights that it ended with.
    """

    def __init__(self, subject: Subject, choice: Choice, example: int, tell: Tell) -> None:
        super().__init__(name="jcnn training", daemon=True)
        self.learning_rate, self.example = choice.learning_rate, example
        self._subject, self._choice, self._tell = subject, choice, tell
        self._model: Sequential | None = None
        self.over = False  # a thread is alive a little longer
        self._stop_asked = threading.Event()

    def stop(self) -> None:
        """End after the call that is under way."""
        self._stop_asked.set()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stop_asked.is_set()

    def run(self) -> None:
        """Train; an error ends this training and nothing else."""
        try:
            ended = self._train()
            self.look()
        except Exception as error:
            ended = one_line(error)
        self.over = True
        self._tell({"kind": "ended", "why": ended})

    def _train(self) -> str:
        subject, choice = self._subject, self._choice
        data = subject.data
        size = min(BATCH, len(data.inputs))
        model = choice.model(subject.input_shape, len(subject.classes))
        structure, params, rest = training.split_model(model)
        recipe = _recipe(choice.optimizer)
        state = training.start(recipe, params, rest, choice.seed)
        step = _step(subject, choice.structure)
        per_epoch = steps_per_epoch(len(data.inputs), size)
        self._tell({"kind": "training", "state": "compiling"})
        calls, looked, began = 1, 0.0, 0.0
        for epoch in range(MOST_EPOCHS):
            batches = jnp.asarray(epoch_batches(choice.seed, epoch, len(data.inputs), size))
            first = 0
            while first < per_epoch:
                if self.stopping:
                    self._hold(structure, state)
                    return "stopped"
                stop = min(first + calls, per_epoch)
                before = np.zeros(2) if first == 0 else np.asarray(state.sums)
                start = time.perf_counter()
                values = training.Hyperparameters(
                    jnp.float32(self.learning_rate), jnp.float32(MOMENTUM), jnp.float32(0)
                )
                ranges = jnp.array([first, stop, 0, 0], jnp.int32)
                state, _ = step(structure, state, values, batches, data, ranges)
                sums = (np.asarray(state.sums) - before) / (stop - first)
                seconds = time.perf_counter() - start
                if began:
                    calls = max(1, int((stop - first) * SECONDS_PER_CALL / seconds))
                else:
                    began = time.perf_counter()  # the first call was compiled
                first = stop
                diverged = int(state.diverged_at)
                self._tell(
                    {
                        "kind": "training",
                        "state": "training",
                        "step": int(state.step),
                        "epoch": epoch + first / per_epoch,
                        "loss": float(sums[_METRICS.index("loss")]),
                        "seconds": time.perf_counter() - began,
                    }
                )
                if diverged != -1:
                    self._hold(structure, state)
                    return f"diverged: the loss was not finite at step {diverged}"
                if time.perf_counter() - looked > SECONDS_PER_LOOK:
                    self._hold(structure, state)
                    self.look()
                    looked = time.perf_counter()
            held = jnp.array([0, 0, 0, int(data.validation_batches)], jnp.int32)
            state, history = step(structure, state, values, batches, data, held)
            accuracy = float(history.validation["accuracy"])
            told = {"step": int(state.step), "epoch": epoch + 1.0, "accuracy": accuracy}
            self._tell({"kind": "training", "state": "validated", **told})
        self._hold(structure, state)
        return f"trained for {MOST_EPOCHS} epochs"

    def look(self) -> None:
        """Tell what the layers do with the weights as they are, if it has any yet."""
        if self._model is not None:
            told = picture.flow(self._subject, self._model, self.example)
            self._tell({"kind": "flow", "trained": True, **told})

    def _hold(self, structure: training.run.Structure, state: training.RunState) -> None:
        self._model = nnx.merge(structure.train, state.params, state.rest, copy=True)


def one_line(error: BaseException) -> str:
    """An error as one line that is not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"


_TASK = training.classification()
_METRICS = list(_TASK.metrics)


@lru_cache(maxsize=16)
def _recipe(optimizer: str) -> training.Recipe:
    return training.Recipe(_TASK, lookup("optimizer", optimizer), "constant", 1, 0, None)


@lru_cache(maxsize=16)
def _step(subject: Subject, structure: Choice) -> Any:
    """The compiled step of all networks of one structure: their numbers cost no compilation."""
    recipe = _recipe(structure.optimizer)

    @partial(jax.jit, static_argnums=0)
    def step(static: Any, state: Any, values: Any, batches: Any, data: Any, ranges: Any) -> Any:
        return training.advance(static, recipe, state, values, batches, data, ranges)

    return step


class Trainings:
    """How many may train at once, over all pages: beyond that, a line says to stop one first."""

    def __init__(self, most: int = 8) -> None:
        self._most, self._lock = most, threading.Lock()
        self._running: list[Live] = []

    def start(self, live: Live) -> None:
        """Start it, or raise UsageError. Those that were stopped may still be compiling."""
        with self._lock:
            self._running = [one for one in self._running if one.is_alive()]
            going = sum(not one.stopping for one in self._running)
            if going >= self._most or len(self._running) >= 2 * self._most:
                raise UsageError(
                    f"{self._most} networks train already, or have not ended yet; stop one first"
                )
            live.start()
            self._running.append(live)

    def stop(self) -> None:
        """Ask all of them to end."""
        with self._lock:
            for one in self._running:
                one.stop()
