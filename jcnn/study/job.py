"""One group of a study's combinations: what it trains, checked and compiled."""

import copy
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jcnn import data as datasets
from jcnn import engine, names, training
from jcnn.names import UsageError
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
        self.batch_size = first.value("batch_size", study.batch_size)
        self.epochs = study.epochs
        self.dtype = None if study.dtype is None else names.lookup("dtype", study.dtype)
        self.data_memory = study.data_memory
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
            first.value("augmentation", study.augment),
        )
        self.label = " ".join(name for _, name in first.structure()) or "all"
        self.keys = [
            (m, float(rate), seed)
            for m in range(len(members))
            for rate in study.learning_rates
            for seed in study.seed_values
        ]

    def check(self) -> None:
        """Build each model abstractly, and see that it maps a batch to its outputs."""
        for member in self.members:
            batch = jax.ShapeDtypeStruct((self.batch_size, *self.input_shape), jnp.float32)
            try:
                found = jax.eval_shape(
                    lambda key, x, member=member: self._build(member, nnx.Rngs(key))(x),
                    jax.random.key(0),
                    batch,
                )
            except names.UsageError:
                raise
            except (Exception, SystemExit) as error:
                reason = " ".join(str(error).split())[:400]
                raise ValueError(
                    f"the model raised {type(error).__name__}{_place(error)} with "
                    f"{_spelled(member)} on inputs of shape {batch.shape}: {reason}"
                ) from error
            shape = getattr(found, "shape", type(found).__name__)
            if shape != (self.batch_size, self.outputs):
                takes = "outputs" in model_arguments(self.model, member, {"outputs": 0})
                raise ValueError(
                    f"the model with {_spelled(member)} maps inputs of shape {batch.shape} to "
                    f"{shape}; expected {(self.batch_size, self.outputs)} for {self.task.name}: "
                    + ("end it with `outputs` units" if takes else "take `outputs` as an argument")
                )
        self._check_optimizer()

    def compile(self, data: training.Data) -> engine.CompiledGroup:
        """Initialize and compile."""
        used = sorted({m for m, _, _ in self.keys})
        builders = [lambda rngs, m=m: self._build(self.members[m], rngs) for m in used]
        runs = [
            engine.Run(used.index(m), seed, self._numbers(self.members[m], rate))
            for m, rate, seed in self.keys
        ]
        return engine.CompiledGroup(
            engine.Group(
                builders, runs, self.recipe, self.batch_size, self.epochs, self.data_memory
            ),
            data,
        )

    def halves(self) -> tuple["Job", "Job"]:
        """The same group as two, of half the runs each."""
        middle = len(self.keys) // 2
        first, second = copy.copy(self), copy.copy(self)
        first.keys, second.keys = self.keys[:middle], self.keys[middle:]
        return first, second

    def records(self, outcomes: Sequence[engine.Outcome]) -> list[RunRecord]:
        """The finished runs, under the study's indices of combinations."""
        return [
            RunRecord(self.indices[m], rate, seed, outcome)
            for (m, rate, seed), outcome in zip(self.keys, outcomes, strict=True)
        ]

    def _build(self, member: Combination, rngs: nnx.Rngs) -> nnx.Module:
        context: dict[str, Any] = {
            "input_shape": self.input_shape,
            "outputs": self.outputs,
            "rngs": rngs,
        }
        if self.dtype is not None:
            context["dtype"] = self.dtype
        arguments = model_arguments(self.model, member, context)
        if self.dtype is not None and "dtype" not in arguments:
            raise UsageError("the model does not take dtype; add the argument, or drop the setting")
        model = self.model(**arguments)
        if not isinstance(model, nnx.Module):
            raise TypeError(f"it returned a {type(model).__name__}; expected an nnx.Module")
        return model

    def _check_optimizer(self) -> None:
        try:
            jax.eval_shape(
                lambda params: training.start(self.recipe, params, {}, 0),
                {"kernel": jnp.zeros((2, 2))},
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise UsageError(
                f"{names.name_of('optimizer', self.recipe.optimizer)} is not an optimizer: "
                f"{reason}; expected (learning_rate, *, momentum, weight_decay) -> "
                "optax.GradientTransformation"
            ) from error

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


def _place(error: BaseException) -> str:
    """Where in the user's own code an error arose, if it is there."""
    library = Path(__file__).resolve().parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if "site-packages" not in path.parts and library not in path.parents:
            return f" at {path.name}:{frame.lineno}"
    return ""
