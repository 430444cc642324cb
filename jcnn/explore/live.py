"""A thread that trains a network and sends what it does, until it is stopped."""

import threading
import time
from collections.abc import Callable
from typing import Any

from jcnn.engine import Pacer
from jcnn.explore import signals
from jcnn.explore.choice import Choice
from jcnn.explore.subject import Subject
from jcnn.explore.trainer import Trainer
from jcnn.layers import Sequential
from jcnn.names import UsageError

# The target duration of a call of the compiled step, and the least time between two measurements
# of the layers.
SECONDS_PER_CALL = 0.1
SECONDS_PER_MEASUREMENT = 0.5
MAX_EPOCHS = 200

Send = Callable[[dict[str, Any]], None]


class Live(threading.Thread):
    """The training of one network.

    `send` gets messages of kind "training" and "flow", and at the end one of kind "ended" with the
    reason. The training ends when `stop` is called, after 200 epochs, or when the loss is not
    finite. `learning_rate` and `example` may be changed while it runs. After its end,
    `measure_layers` sends the layers of the final network once more.
    """

    def __init__(self, subject: Subject, choice: Choice, example: int, send: Send) -> None:
        super().__init__(name="jcnn training", daemon=True)
        self.learning_rate, self.example = choice.learning_rate, example
        self._subject, self._choice, self._send = subject, choice, send
        self._model: Sequential | None = None
        self._measured = 0.0  # when the layers were last measured
        self.over = False  # becomes true before the thread itself ends
        self._stop_asked = threading.Event()

    def stop(self) -> None:
        """End the training after the current call."""
        self._stop_asked.set()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop_asked.is_set()

    def run(self) -> None:
        """Train; an error ends this training and nothing else."""
        try:
            reason = self._train()
            self.measure_layers()
        except Exception as error:
            reason = one_line(error)
        self.over = True
        self._send({"kind": "ended", "why": reason})

    def measure_layers(self) -> None:
        """Send what the layers do with the current weights, once there are any."""
        if self._model is not None:
            flow = signals.flow(self._subject, self._model, self.example)
            self._send({"kind": "flow", "trained": True, **flow})

    def _train(self) -> str:
        """Train until the end and return the reason for it."""
        self._send({"kind": "training", "state": "compiling"})
        trainer = Trainer(self._subject, self._choice, lambda: self.learning_rate)
        try:
            return self._train_epochs(trainer)
        finally:
            self._model = trainer.model()

    def _train_epochs(self, trainer: Trainer) -> str:
        pacer, began = Pacer(SECONDS_PER_CALL, steps=1), time.perf_counter()
        for epoch in range(MAX_EPOCHS):
            trainer.start_epoch(epoch)
            for _ in pacer.calls(trainer.train, 0, trainer.steps_per_epoch):
                seconds = time.perf_counter() - began
                self._send_state("training", **trainer.progress._asdict(), seconds=seconds)
                if trainer.diverged_at is not None:
                    return f"diverged: the loss was not finite at step {trainer.diverged_at}"
                if self.stopping:
                    return "stopped"
                self._measure_if_due(trainer)
            accuracy = trainer.validation_accuracy()
            self._send_state(
                "validated", step=trainer.progress.step, epoch=epoch + 1.0, accuracy=accuracy
            )
        return f"trained for {MAX_EPOCHS} epochs"

    def _send_state(self, state: str, **values: Any) -> None:
        self._send({"kind": "training", "state": state, **values})

    def _measure_if_due(self, trainer: Trainer) -> None:
        if time.perf_counter() - self._measured > SECONDS_PER_MEASUREMENT:
            self._model = trainer.model()
            self.measure_layers()
            self._measured = time.perf_counter()


def one_line(error: BaseException) -> str:
    """Return an error's message as one line of at most 300 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"


class Trainings:
    """The trainings of all pages, of which at most `limit` run at once."""

    def __init__(self, limit: int = 8) -> None:
        self._limit, self._lock = limit, threading.Lock()
        self._running: list[Live] = []

    def start(self, live: Live) -> None:
        """Start a training; UsageError if too many are running.

        Trainings that were stopped may still be compiling, so they count towards twice the limit.
        """
        with self._lock:
            self._running = [training for training in self._running if training.is_alive()]
            active = sum(not training.stopping for training in self._running)
            if active >= self._limit or len(self._running) >= 2 * self._limit:
                raise UsageError(
                    f"{self._limit} networks are training or still ending; stop one first"
                )
            live.start()
            self._running.append(live)

    def stop(self) -> None:
        """Stop all trainings."""
        with self._lock:
            for training in self._running:
                training.stop()
