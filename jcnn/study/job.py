"""One group of a study's combinations: its models checked, its runs planned and compiled."""

import copy
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jcnn import data as datasets
from jcnn import engine, training
from jcnn.analysis.labels import label
from jcnn.diagnosis.monitor import make_watch
from jcnn.export import weights
from jcnn.study.allocation import Wanted
from jcnn.study.augmentation_check import check_augmentation
from jcnn.study.builders import Builders
from jcnn.study.factors import DEFAULTS, TRACED, Combination
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

    A new job has no runs; `wanting` gives it some. `failures` maps combinations that cannot be
    trained to the reason; it is shared by all jobs that are made from this one.
    """

    def __init__(
        self,
        plan: Plan,
        dataset: datasets.Dataset,
        task: training.Task,
        data: training.Data,
        members: Sequence[int],
        *,
        short: bool = False,
    ) -> None:
        """`short` jobs train the short runs of a study, whose `plan` has so many epochs."""
        self.short = short
        first = plan.combinations[members[0]]
        self.members = [plan.combinations[index] for index in members]
        self.indices = members
        self.task = task
        self.plan, self.dataset, self.data = plan, dataset, data
        self._builders = Builders(plan, dataset, task)
        self.batch_size = first.value("batch_size", plan.batch_size)
        self.epochs = operator.index(plan.epochs)
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
            ema_decay=plan.ema_decay,
            accumulation_steps=plan.accumulation_steps,
            patience=plan.patience,
        )
        self.label = " ".join(name for _, name in first.structure()) or "all"
        self.label += f" ({self.epochs} epochs)" * short
        self.failures: dict[int, str] = {}
        self.runs: list[Planned] = []
        self._included: Sequence[int] = range(len(members))
        self._checked: set[int] = set()
        self._identities: dict[int, str | None] = {}

    def wanting(self, wanted: Iterable[Wanted]) -> "Job":
        """The same group with those of these runs that are its own and can be trained."""
        runs = [
            Planned(self.indices.index(run.combination), run.learning_rate, run.seed, key)
            for run, key in self.keys(wanted).items()
        ]
        return self._with(runs)

    def keys(self, wanted: Iterable[Wanted]) -> dict[Wanted, str]:
        """The ledger keys of those of these runs that are the group's own and can be trained."""
        mine = {self.indices[m]: m for m in self._included}
        return {
            run: run_key.of_run(identity, run.learning_rate, run.seed)
            for run in wanted
            if run.short == self.short
            if (m := mine.get(run.combination)) is not None
            if (identity := self._identity(m)) is not None
        }

    def only(self, combination: int) -> "Job":
        """The group of one combination only, and its runs."""
        job = self._with([run for run in self.runs if self.indices[run.member] == combination])
        job._included = [self.indices.index(combination)]
        return job

    def alone(self) -> list["Job"]:
        """Split the group by combination, as far as combinations can be trained."""
        return [self.only(self.indices[m]) for m in self._trainable]

    def blocks(self, size: int) -> Iterator["Job"]:
        """Split the runs, ordered by seed, into jobs of at most `size`.

        Where examples are streamed, a block has no more seeds than the study, because each has
        batches of its own in memory. The order is always the same, so that a checkpoint of a block
        is that of the same runs in the same order.
        """
        most_seeds = size if self.plan.data_memory is None else len(self.plan.seed_values)
        block: list[Planned] = []
        for run in sorted(self.runs, key=lambda run: (run.seed, run.member, run.learning_rate)):
            seeds = {each.seed for each in (*block, run)}
            if len(block) == size or len(seeds) > most_seeds:
                yield self._with(block)
                block = []
            block.append(run)
        if block:
            yield self._with(block)

    def check(self) -> None:
        """Build the models abstractly, and drop the runs of models that cannot be trained."""
        for m in sorted({run.member for run in self.runs}):
            self._checks(m)
        self.runs = [run for run in self.runs if self.indices[run.member] not in self.failures]

    def fail(self, reason: str) -> None:
        """Record `reason` for every combination that still has runs to train."""
        self.failures |= {self.indices[run.member]: reason for run in self.runs}

    def compile(
        self, capacity: int | None = None, *, measured: bool = True
    ) -> engine.CompiledGroup:
        """Compile the programs for these runs, with room for `capacity` runs of the group.

        Unless `measured`, layers are not, although the study has `diagnose`.
        """
        trainable = self._trainable
        # Members that differ in numbers alone have the same initial values. No run uses the builder
        # of a kind that cannot be trained.
        first = {self.members[m].initial(): m for m in reversed(trainable)}
        group = engine.Group(
            [self._builder(first.get(kind, trainable[0])) for kind in self._kinds],
            self._engine_runs(),
            self._recipe(trainable[0]) if measured else self.recipe,
            self.batch_size,
            self.epochs,
            self.plan.data_memory,
            capacity=capacity,
        )
        return engine.CompiledGroup(group, self.data)

    def on(self, compiled: engine.CompiledGroup) -> engine.CompiledGroup:
        """These runs on the programs that were compiled for other runs of the group."""
        return compiled.with_runs(self._engine_runs())

    def _engine_runs(self) -> list[engine.Run]:
        kinds = self._kinds
        return [
            engine.Run(
                kinds.index(self.members[run.member].initial()),
                run.seed,
                self._numbers(self.members[run.member], run.learning_rate),
            )
            for run in self.runs
        ]

    @property
    def _kinds(self) -> list[tuple[tuple[str, str], ...]]:
        """What the members' initial values depend on: a builder each, in order of the members."""
        return list(dict.fromkeys(self.members[m].initial() for m in self._included))

    @property
    def _trainable(self) -> list[int]:
        return [m for m in self._included if self.indices[m] not in self.failures]

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
        model = nnx.eval_shape(lambda: self._builders.build(self.members[m], nnx.Rngs(0)))
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

    def _builder(self, m: int) -> engine.Builder:
        return self._builders.builder(self.members[m])

    def _identity(self, m: int) -> str | None:
        """The key of a member's runs but for rate and seed; None if it cannot be trained."""
        if m not in self._identities:
            self._identities[m] = self._find_identity(m)
        return self._identities[m]

    def _find_identity(self, m: int) -> str | None:
        def program_text() -> str:
            self._checks(m)
            if self.indices[m] in self.failures:
                raise ModelError
            try:
                text = engine.program_text(
                    self._builder(m), self.recipe, self.batch_size, self.data
                )
                return text + self._first_weights(m)
            except Exception as error:
                self.failures[self.indices[m]] = (
                    f"the training step of the model raised {described(error)} with "
                    f"{label(self.members[m].names()) or 'no factors'}: {reason(error)}"
                )
                raise ModelError from error

        try:
            return run_key.of_combination(self.plan, self.members[m], self.dataset, program_text)
        except ModelError:
            return None

    def _first_weights(self, m: int) -> str:
        """A digest of the weights of a warm start, which the program's text may leave out."""
        if self.plan.first_weights is None:
            return ""
        return run_key.of_weights(weights(self.model(m, self.plan.seed(0))))

    def _checks(self, m: int) -> None:
        if m in self._checked:
            return
        self._checked.add(m)
        try:
            check_augmentation(self.recipe.augmentation, self.dataset, self.batch_size)
            self._builders.check(self.members[m], self.batch_size, self.data)
        except ModelError as error:
            self.failures[self.indices[m]] = str(error)

    def _numbers(self, member: Combination, rate: float) -> training.Hyperparameters:
        return training.Hyperparameters(
            float(rate),
            float(member.value("momentum", DEFAULTS["momentum"])),
            float(member.value("weight_decay", DEFAULTS["weight_decay"])),
        )
