"""Training with jcnn's engine: many models in one compiled program."""

import time
from functools import partial
from typing import Any

import numpy as np
from flax import nnx

from jcnn import engine, training
from jcnn.bench.workloads import Weights, Workload

LEARNING_RATE = 1e-3


class EngineTraining:
    """Training of a workload's runs 0 to `runs - 1` with the engine.

    `data` replaces its own examples, and `build` its network of jcnn's layers. Each device trains
    `at_once` runs at a time (None: the engine's default).
    """

    def __init__(
        self,
        workload: Workload,
        runs: int,
        dtype: Any = None,
        *,
        data: training.Data | None = None,
        watch: training.Watch | None = None,
        build: engine.Builder | None = None,
        at_once: int | None = None,
    ) -> None:
        self.runs = runs
        recipe = training.Recipe(
            training.classification(),
            training.optimizers.adam,
            "constant",
            10**6,
            warmup_steps=0,
            gradient_clip=None,
            watch=watch,
        )
        numbers = training.Hyperparameters(LEARNING_RATE, 0.9, 0.0)
        group = engine.Group(
            [build or partial(_build, workload, dtype)],
            [engine.Run(0, seed, numbers) for seed in range(runs)],
            recipe,
            workload.batch_size,
            epochs=1,
            at_once=at_once,
        )
        began = time.perf_counter()
        self.compiled = engine.CompiledGroup(group, data or workload.data())
        self.compile_seconds = time.perf_counter() - began
        self.steps = self.compiled.steps_per_epoch
        self._training = engine.Training(self.compiled)
        self._training.start(0)

    def first_weights(self) -> Weights:
        """Return the initial parameters of run 0."""
        params = nnx.to_flat_state(self.compiled.initial_states().params)
        return {"/".join(map(str, path)): np.asarray(param[...][0]) for path, param in params}

    def epoch_loss(self) -> float:
        """Return the mean loss of run 0 over one epoch, starting from the initial weights."""
        restarted = engine.Training(self.compiled)
        restarted.start(0)
        history = restarted.train(0, self.steps)[1]
        return float(history.train["loss"][0])

    def sample(self) -> float:
        """Return the seconds per step and model."""
        began = time.perf_counter()
        self._training.train(0, self.steps)
        return (time.perf_counter() - began) / (self.steps * self.runs)


def _build(workload: Workload, dtype: Any, rngs: Any) -> Any:
    return workload.model(rngs, dtype)
