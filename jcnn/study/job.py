"""One group of a study's combinations: what it trains, checked and compiled."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jcnn import data as datasets
from jcnn import engine, names, training
from jcnn.study.plan import Combination, model_arguments
from jcnn.study.result import RunRecord


class Job:
    """One group of combinations of a `Study`: its builders, recipe and runs."""

    def __init__(
        self, study: Any, dataset: datasets.Dataset, task: training.Task, members: Sequence[int]
    ) -> None:
        first = study.combinations[members[0]]
        self.members = [study.combinations[index] for index in members]
        self.indices = members
        self.task = task
        self.input_shape = dataset.input_shape
        self.outputs = _outputs(dataset, task)
        self.model = study.build_model
        self.batch_size = int(first.value("batch_size", study.batch_size))
        self.epochs = study.epochs
        examples = len(
            datasets.split_validation(
                dataset.train_targets,
                study.validation_fraction,
                stratify=dataset.task == "classification",
            )[0]
        )
        self.recipe = training.Recipe(
            task,
            first.value("optimizer", training.optimizers.momentum),
            first.value("schedule", "constant"),
            engine.steps_per_epoch(examples, self.batch_size) * study.epochs,
            study.warmup_steps,
            study.gradient_clip,
        )
        self.label = " ".join(name for _, name in first.structure()) or "all"
        self.keys = [
            (m, float(rate), seed)
            for m in range(len(members))
            for rate in study.learning_rates
            for seed in study.seed_values
        ]
        self.runs = [
            engine.Run(m, seed, self._numbers(self.members[m], rate)) for m, rate, seed in self.keys
        ]

    def check(self) -> None:
        """Build each model abstractly, and see that it maps a batch to its outputs."""
        for member in self.members:
            try:
                shape = jax.eval_shape(
                    lambda key, member=member: self._build(member, nnx.Rngs(key))(
                        jnp.zeros((2, *self.input_shape), jnp.float32)
                    ),
                    jax.random.key(0),
                ).shape
            except names.UnknownNameError:
                raise
            except Exception as error:
                reason = " ".join(str(error).split())[:400]
                raise ValueError(
                    f"the model raised {type(error).__name__} with "
                    f"{_spelled(member)} on inputs of shape {self.input_shape}: {reason}"
                ) from error
            if shape != (2, self.outputs):
                raise ValueError(
                    f"the model with {_spelled(member)} maps 2 examples to shape {shape}; expected "
                    f"(2, {self.outputs}) for {self.task.name}: take `outputs` as an argument"
                )

    def compile(self, data: training.Data) -> engine.CompiledGroup:
        """Initialize and compile."""
        builders = [
            lambda rngs, member=member: self._build(member, rngs) for member in self.members
        ]
        return engine.CompiledGroup(
            engine.Group(builders, self.runs, self.recipe, self.batch_size, self.epochs), data
        )

    def records(self, outcomes: Sequence[engine.Outcome]) -> list[RunRecord]:
        """The finished runs, under the study's indices of combinations."""
        return [
            RunRecord(self.indices[m], rate, seed, outcome)
            for (m, rate, seed), outcome in zip(self.keys, outcomes, strict=True)
        ]

    def _build(self, member: Combination, rngs: nnx.Rngs) -> nnx.Module:
        context = {"input_shape": self.input_shape, "outputs": self.outputs}
        return self.model(**model_arguments(self.model, member, context), rngs=rngs)

    def _numbers(self, member: Combination, rate: float) -> training.Hyperparameters:
        return training.Hyperparameters(
            float(rate),
            float(member.value("momentum", 0.9)),
            float(member.value("weight_decay", 0.0)),
        )


def _outputs(dataset: datasets.Dataset, task: training.Task) -> int:
    if task.name == "classification":
        return dataset.num_classes or 0
    return 1 if dataset.train_targets.ndim == 1 else dataset.train_targets.shape[1]


def _spelled(member: Combination) -> str:
    return ", ".join(f"{factor}={name}" for factor, name in member.names().items()) or "no factors"
