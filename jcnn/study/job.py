"""One group of a study's combinations: its models checked, its runs planned and compiled."""

import copy
import operator
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jcnn import data as datasets
from jcnn import engine, names, training
from jcnn.analysis.labels import label
from jcnn.diagnosis import lsuv
from jcnn.diagnosis.monitor import make_watch
from jcnn.errors import UsageError
from jcnn.study.augmentation_check import check_augmentation
from jcnn.study.factors import DEFAULTS, TRACED, Combination, is_data_driven, model_arguments
from jcnn.study.limits import too_large
from jcnn.study.model_error import ModelError, described, reason
from jcnn.study.plan import Plan
from jcnn.study.storage import run_key
from jcnn.training.schedules import Schedule


class Planned(NamedTuple):
    """One run of a job: its member, learning rate, seed and ledger key."""

    member: int
    learning_rate: float
    seed: int
    key: str


class Job:
    """One group of combinations of a study: its model builders, recipe and runs.

    `failures` maps combinations that cannot be trained to the reason; `runs` omits their runs.
    """

    def __init__(
        self,
        plan: Plan,
        dataset: datasets.Dataset,
        task: training.Task,
        data: training.Data,
        members: Sequence[int],
        rates: Mapping[int, Sequence[float]],
    ) -> None:
        first = plan.combinations[members[0]]
        self.members = [plan.combinations[index] for index in members]
        self.indices = members
        self.task = task
        self.plan, self.dataset, self.data = plan, dataset, data
        self.outputs = _outputs(dataset, task)
        self.batch_size = first.value("batch_size", plan.batch_size)
        self.epochs = operator.index(plan.epochs)
        self.dtype = None if plan.dtype is None else names.lookup("dtype", plan.dtype)
        self.recipe = training.Recipe(
            task,
            training.optimizers.adapt(
                first.value("optimizer", DEFAULTS["optimizer"]),
                [number for number in TRACED if number in first.names()],
            ),
            first.value("schedule", DEFAULTS["schedule"]),
            engine.steps_per_epoch(len(data.inputs), self.batch_size) * self.epochs,
            plan.warmup_steps,
            plan.gradient_clip,
            first.value("augmentation", plan.augment),
        )
        self.label = " ".join(name for _, name in first.structure()) or "all"
        self.failures: dict[int, str] = {}
        self._checked: set[int] = set()
        self.runs = [
            Planned(m, rate, seed, run_key.digest([identity, rate, seed]))
            for m, index in enumerate(members)
            if (identity := self._identity(m)) is not None
            for rate in rates.get(index, plan.learning_rates)
            for seed in plan.seed_values
        ]

    def missing(self, finished: Container[str]) -> "Job":
        """The same group with its unfinished runs only."""
        return self._with([run for run in self.runs if run.key not in finished])

    def only(self, combination: int) -> "Job":
        """The same group with the runs of one combination only."""
        return self._with([run for run in self.runs if self.indices[run.member] == combination])

    def alone(self) -> list["Job"]:
        """Split the group by combination."""
        return [self.only(self.indices[m]) for m in sorted({run.member for run in self.runs})]

    def halves(self) -> tuple["Job", "Job"]:
        """Split the group into two with half of the runs each."""
        middle = len(self.runs) // 2
        return self._with(self.runs[:middle]), self._with(self.runs[middle:])

    def check(self) -> None:
        """Build the models abstractly, and drop the runs of models that cannot be trained."""
        for m in sorted({run.member for run in self.runs}):
            self._checks(m)
        self.runs = [run for run in self.runs if self.indices[run.member] not in self.failures]

    @property
    def trained(self) -> int:
        """The number of runs that did not fail, after the job has run."""
        return sum(self.indices[run.member] not in self.failures for run in self.runs)

    def fail(self, reason: str) -> None:
        """Record `reason` for every combination that still has runs to train."""
        self.failures |= {self.indices[run.member]: reason for run in self.runs}

    def compile(self) -> engine.CompiledGroup:
        """Initialize the models and compile the training program."""
        used = sorted({run.member for run in self.runs})
        runs = [
            engine.Run(
                used.index(run.member),
                run.seed,
                self._numbers(self.members[run.member], run.learning_rate),
            )
            for run in self.runs
        ]
        group = engine.Group(
            [self._builder(m) for m in used],
            runs,
            self._recipe(used[0]),
            self.batch_size,
            self.epochs,
            self.plan.data_memory,
        )
        return engine.CompiledGroup(group, self.data)

    def model(self, m: int, seed: int) -> nnx.Module:
        """The initial model of a member's run from this seed."""
        build = self._builder(m)
        return engine.first_model(build, seed, engine.sampled_examples([build], self.data))

    def _recipe(self, m: int) -> training.Recipe:
        """The recipe; with `diagnose`, layers are measured, which are the same in all members."""
        every = self.plan.diagnose
        if every is None:
            return self.recipe
        batch = jax.ShapeDtypeStruct((self.batch_size, *self.dataset.input_shape), jnp.float32)
        model = nnx.eval_shape(lambda: self._build(self.members[m], nnx.Rngs(0)))
        steps = self.recipe.total_steps // self.epochs
        watch = make_watch(model, batch, self.task.loss, every=every, steps=steps)
        return replace(self.recipe, watch=watch)

    def optimizer(self, m: int, learning_rate: float) -> optax.GradientTransformation:
        """A member's optimizer at a constant learning rate."""
        return self.optimizer_at(m)(optax.constant_schedule(learning_rate))

    def optimizer_at(self, m: int) -> Callable[[Schedule], optax.GradientTransformation]:
        """A member's optimizer as a function of the learning-rate schedule."""
        numbers = self._numbers(self.members[m], 0.0)
        return partial(
            self.recipe.optimizer,
            momentum=numbers.momentum,
            weight_decay=numbers.weight_decay,
        )

    def rows(
        self, outcomes: Sequence[engine.Outcome]
    ) -> list[tuple[str, dict[str, Any], engine.Outcome]]:
        """The finished runs as rows of the ledger."""
        return [
            (
                run.key,
                self.members[run.member].names()
                | {"learning_rate": run.learning_rate, "seed": run.seed},
                outcome,
            )
            for run, outcome in zip(self.runs, outcomes, strict=True)
        ]

    def _with(self, runs: list[Planned]) -> "Job":
        job = copy.copy(self)  # failures and checked members are shared
        job.runs = runs
        return job

    def _identity(self, m: int) -> str | None:
        def program_text() -> str:
            self._checks(m)
            if self.indices[m] in self.failures:
                raise ModelError
            try:
                return engine.program_text(
                    self._builder(m), self.recipe, self.batch_size, self.data
                )
            except Exception as error:
                self.failures[self.indices[m]] = (
                    f"the training step of the model raised {described(error)} with "
                    f"{_label(self.members[m])}: {reason(error)}"
                )
                raise ModelError from error

        try:
            return run_key.of_combination(self.plan, self.members[m], self.dataset, program_text)
        except ModelError:
            return None

    def _checks(self, m: int) -> None:
        if m in self._checked:
            return
        self._checked.add(m)
        try:
            self._check_model(m)
        except ModelError as error:
            self.failures[self.indices[m]] = str(error)

    def _check_model(self, m: int) -> None:
        member, build = self.members[m], self._builder(m)
        self._arguments(member)  # a factor that the model does not take concerns the whole study
        few = engine.sampled_examples([build], self.data)
        batch = jax.ShapeDtypeStruct((self.batch_size, *self.dataset.input_shape), jnp.float32)
        check_augmentation(self.recipe.augmentation, self.dataset, self.batch_size)

        excess: list[str | None] = []

        def outputs_of(seed: Any, x: Any) -> Any:
            model = engine.first_model(build, seed, few)
            excess.append(too_large(model))
            return model(x)

        try:
            outputs = jax.eval_shape(outputs_of, jnp.uint32(0), batch)
        except (Exception, SystemExit) as error:
            raise ModelError(
                f"the model raised {described(error)} with {_label(member)} on inputs of shape "
                f"{batch.shape}: {reason(error)}"
            ) from error
        if excess[0] is not None:
            raise ModelError(f"the model with {_label(member)} is too large: {excess[0]}")
        shape = getattr(outputs, "shape", type(outputs).__name__)
        if shape != (self.batch_size, self.outputs):
            takes = "outputs" in model_arguments(self.plan.build_model, member, {"outputs": 0})
            raise ModelError(
                f"the model with {_label(member)} maps inputs of shape {batch.shape} to "
                f"{shape}; expected {(self.batch_size, self.outputs)} for {self.task.name}: "
                + (
                    "its last layer needs `outputs` units"
                    if takes
                    else "add the argument `outputs`"
                )
            )

    def _builder(self, m: int) -> engine.Builder:
        build = partial(self._build, self.members[m])
        fitted = is_data_driven(self.plan.build_model, self.members[m])
        return engine.Fitted(build, lsuv) if fitted else build

    def _build(self, member: Combination, rngs: nnx.Rngs) -> nnx.Module:
        model = self.plan.build_model(**self._arguments(member, rngs))
        if not isinstance(model, nnx.Module):
            raise TypeError(f"it returned a {type(model).__name__}; expected an nnx.Module")
        return model

    def _arguments(self, member: Combination, rngs: nnx.Rngs | None = None) -> dict[str, Any]:
        """The model's arguments. Raises UsageError if it does not take one that the study sets."""
        context: dict[str, Any] = {
            "input_shape": self.dataset.input_shape,
            "outputs": self.outputs,
            "rngs": rngs,
        }
        if self.dtype is not None:
            context["dtype"] = self.dtype
        arguments = model_arguments(self.plan.build_model, member, context)
        if self.dtype is not None and "dtype" not in arguments:
            raise UsageError("the model does not take dtype; add the argument, or drop the setting")
        return arguments

    def _numbers(self, member: Combination, rate: float) -> training.Hyperparameters:
        return training.Hyperparameters(
            float(rate),
            float(member.value("momentum", DEFAULTS["momentum"])),
            float(member.value("weight_decay", DEFAULTS["weight_decay"])),
        )


def _outputs(dataset: datasets.Dataset, task: training.Task) -> int:
    if task.name == "classification":
        return dataset.num_classes or 0
    return 1 if dataset.train_targets.ndim == 1 else dataset.train_targets.shape[1]


def _label(member: Combination) -> str:
    return label(member.names()) or "no factors"
