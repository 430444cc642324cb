"""One group of a study's combinations: what it trains, checked and compiled."""

import copy
import operator
import traceback
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jcnn import data as datasets
from jcnn import engine, names, training
from jcnn.diagnosis import lsuv
from jcnn.diagnosis.monitor import watch_of
from jcnn.errors import UsageError
from jcnn.study.factors import DEFAULTS, TRACED, Combination, is_data_driven, model_arguments, told
from jcnn.study.storage import run_key
from jcnn.training.schedules import Schedule

if TYPE_CHECKING:
    from jcnn.study.study import Study


class ModelError(ValueError):
    """A combination whose model cannot be trained, with the reason."""


class Planned(NamedTuple):
    """One run of a job: which member, at which rate, from which seed, and its ledger key."""

    member: int
    learning_rate: float
    seed: int
    key: str


class Job:
    """One group of combinations of a `Study`: its builders, recipe and runs.

    `failures` maps combinations that cannot be trained to the reason; their runs are not in `runs`.
    """

    def __init__(
        self,
        study: "Study",
        dataset: datasets.Dataset,
        task: training.Task,
        data: training.Data,
        members: Sequence[int],
        rates: Mapping[int, Sequence[float]],
    ) -> None:
        first = study.combinations[members[0]]
        self.members = [study.combinations[index] for index in members]
        self.indices = members
        self.task = task
        self.study, self.dataset, self.data = study, dataset, data
        self.outputs = _outputs(dataset, task)
        self.batch_size = first.value("batch_size", study.batch_size)
        self.epochs = operator.index(study.epochs)
        self.dtype = None if study.dtype is None else names.lookup("dtype", study.dtype)
        self.recipe = training.Recipe(
            task,
            training.optimizers.adapt(
                first.value("optimizer", DEFAULTS["optimizer"]),
                [number for number in TRACED if number in first.names()],
            ),
            first.value("schedule", DEFAULTS["schedule"]),
            engine.steps_per_epoch(len(data.inputs), self.batch_size) * self.epochs,
            study.warmup_steps,
            study.gradient_clip,
            first.value("augmentation", study.augment),
        )
        self.label = " ".join(name for _, name in first.structure()) or "all"
        self.failures: dict[int, str] = {}
        self._checked: set[int] = set()
        self.runs = [
            Planned(m, rate, seed, run_key.digest([known, rate, seed]))
            for m, index in enumerate(members)
            if (known := self._identity(m)) is not None
            for rate in rates.get(index, study.learning_rates)
            for seed in study.seed_values
        ]

    def missing(self, finished: Container[str]) -> "Job":
        """The same group with the runs that are not finished."""
        return self._with([run for run in self.runs if run.key not in finished])

    def only(self, combination: int) -> "Job":
        """The same group with the runs of one combination."""
        return self._with([run for run in self.runs if self.indices[run.member] == combination])

    def halves(self) -> tuple["Job", "Job"]:
        """The same group as two, of half the runs each."""
        middle = len(self.runs) // 2
        return self._with(self.runs[:middle]), self._with(self.runs[middle:])

    def check(self) -> None:
        """Build the models abstractly, and leave out the runs of those that cannot be trained."""
        for m in sorted({run.member for run in self.runs}):
            self._checks(m)
        self.runs = [run for run in self.runs if self.indices[run.member] not in self.failures]

    @property
    def trained(self) -> int:
        """How many of its runs did not fail, once it has been carried out."""
        return sum(self.indices[run.member] not in self.failures for run in self.runs)

    def fail(self, reason: str) -> None:
        """Every combination that still has runs to train has failed."""
        self.failures |= {self.indices[run.member]: reason for run in self.runs}

    def compile(self) -> engine.CompiledGroup:
        """Initialize and compile."""
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
            self.study.data_memory,
        )
        return engine.CompiledGroup(group, self.data)

    def model(self, m: int, seed: int) -> nnx.Module:
        """A member's model as a run of this seed begins with it."""
        build = self._builder(m)
        return engine.first_model(build, seed, engine.first_examples([build], self.data))

    def _recipe(self, m: int) -> training.Recipe:
        """The recipe, with a watch where there is one on a member's layers: those of them all."""
        every = self.study.diagnose
        if every is None:
            return self.recipe
        batch = jax.ShapeDtypeStruct((self.batch_size, *self.dataset.input_shape), jnp.float32)
        model = nnx.eval_shape(lambda: self._build(self.members[m], nnx.Rngs(0)))
        steps = self.recipe.total_steps // self.epochs
        watch = watch_of(model, batch, self.task.loss, every=every, steps=steps)
        return replace(self.recipe, watch=watch)

    def optimizer(self, m: int, learning_rate: float) -> optax.GradientTransformation:
        """A member's optimizer at a constant rate."""
        return self.optimizer_at(m)(optax.constant_schedule(learning_rate))

    def optimizer_at(self, m: int) -> Callable[[Schedule], optax.GradientTransformation]:
        """A member's optimizer, of a schedule of rates."""
        numbers = self._numbers(self.members[m], 0.0)
        return partial(
            self.recipe.optimizer,
            momentum=numbers.momentum,
            weight_decay=numbers.weight_decay,
        )

    def rows(
        self, outcomes: Sequence[engine.Outcome]
    ) -> list[tuple[str, dict[str, Any], engine.Outcome]]:
        """The finished runs as the ledger keeps them."""
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
        found = copy.copy(self)  # failures and what was checked are shared
        found.runs = runs
        return found

    def _identity(self, m: int) -> str | None:
        def program_text() -> str:
            self._checks(m)
            if self.indices[m] in self.failures:
                raise ModelError
            return engine.program_text(self._builder(m), self.recipe, self.batch_size, self.data)

        try:
            return run_key.of_combination(self.study, self.members[m], self.dataset, program_text)
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
        few = engine.first_examples([build], self.data)
        batch = jax.ShapeDtypeStruct((self.batch_size, *self.dataset.input_shape), jnp.float32)
        try:
            found = jax.eval_shape(
                lambda seed, x: engine.first_model(build, seed, few)(x), jnp.uint32(0), batch
            )
        except UsageError:
            raise
        except (Exception, SystemExit) as error:
            reason = " ".join(str(error).split())[:400]
            raise ModelError(
                f"the model raised {type(error).__name__}{_place(error)} with "
                f"{_spelled(member)} on inputs of shape {batch.shape}: {reason}"
            ) from error
        shape = getattr(found, "shape", type(found).__name__)
        if shape != (self.batch_size, self.outputs):
            takes = "outputs" in model_arguments(self.study.build_model, member, {"outputs": 0})
            raise ModelError(
                f"the model with {_spelled(member)} maps inputs of shape {batch.shape} to "
                f"{shape}; expected {(self.batch_size, self.outputs)} for {self.task.name}: "
                + ("end it with `outputs` units" if takes else "take `outputs` as an argument")
            )

    def _builder(self, m: int) -> engine.Builder:
        build = partial(self._build, self.members[m])
        fitted = is_data_driven(self.study.build_model, self.members[m])
        return engine.Fitted(build, lsuv) if fitted else build

    def _build(self, member: Combination, rngs: nnx.Rngs) -> nnx.Module:
        context: dict[str, Any] = {
            "input_shape": self.dataset.input_shape,
            "outputs": self.outputs,
            "rngs": rngs,
        }
        if self.dtype is not None:
            context["dtype"] = self.dtype
        arguments = model_arguments(self.study.build_model, member, context)
        if self.dtype is not None and "dtype" not in arguments:
            raise UsageError("the model does not take dtype; add the argument, or drop the setting")
        model = self.study.build_model(**arguments)
        if not isinstance(model, nnx.Module):
            raise TypeError(f"it returned a {type(model).__name__}; expected an nnx.Module")
        return model

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


def _spelled(member: Combination) -> str:
    return told(member.names()) or "no factors"


def _place(error: BaseException) -> str:
    """Where in the user's own code an error arose, if it is there."""
    library = Path(__file__).resolve().parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if "site-packages" not in path.parts and library not in path.parents:
            return f" at {path.name}:{frame.lineno}"
    return ""
