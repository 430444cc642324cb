"""One training run as pure functions of state, hyperparameters and data.

The functions work under `jax.jit`, `vmap`, `lax.map` and `shard_map`, with NNX graph mode on or
off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jcnn.errors import UsageError
from jcnn.training.averaging import evaluated_params, update_average
from jcnn.training.batch import Augmentation, mixed, next_batch
from jcnn.training.early_stopping import chosen_weights, first_kept, has_stopped
from jcnn.training.metrics import as_metric, columns_of
from jcnn.training.model import apply_eval, apply_train
from jcnn.training.optimizers import Optimizer, in_float32
from jcnn.training.schedules import Schedule, learning_rate_schedule
from jcnn.training.state import (
    NEVER,
    Data,
    History,
    Hyperparameters,
    RunState,
    Structure,
    normalize,
)
from jcnn.training.task import Task
from jcnn.training.watch import Watch, train_and_watch


@dataclass(frozen=True)
class Recipe:
    """The static part of a run: a change here means another program.

    `optimizer` is one of `jcnn.training.optimizers`, or `optimizers.adapt` of any Optax factory.
    `schedule` is a shape for `jcnn.training.schedules.learning_rate_schedule`. With `ema_decay`,
    the moving average of the weights is evaluated. The gradients of `accumulation_steps` steps are
    averaged before the optimizer sees them. With `patience`, runs keep the weights of the epoch in
    which the task's metric was best on validation data, and stop after so many epochs without a
    better one. Raises UsageError if the schedule cannot be used, or if there are fewer steps than
    are accumulated.
    """

    task: Task
    optimizer: Optimizer
    schedule: str | Callable[..., Any]
    total_steps: int
    warmup_steps: int
    gradient_clip: float | None
    augmentation: Augmentation | None = None
    watch: Watch | None = None
    ema_decay: float | None = None
    accumulation_steps: int = 1
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.total_steps < self.accumulation_steps:
            raise UsageError(
                f"accumulation_steps={self.accumulation_steps}, but a run has only "
                f"{self.total_steps} steps; use fewer, or smaller batches"
            )
        self.learning_rate(1.0)

    def learning_rate(self, peak: Any) -> Schedule:
        """Return the learning rate as a function of the number of updates of the weights."""
        return learning_rate_schedule(
            self.schedule,
            peak,
            total_steps=self.total_steps // self.accumulation_steps,
            warmup_steps=-(-self.warmup_steps // self.accumulation_steps),
        )


def start(recipe: Recipe, params: Any, rest: Any, seed: Any) -> RunState:
    """Return the state before the first step.

    The optimizer's state is initialized with all hyperparameters 0.

    >>> from flax import nnx
    >>> from jcnn import models, training
    >>> recipe = Recipe(training.classification(), training.optimizers.sgd, "constant", 10, 0, None)
    >>> _, params, rest = training.split_model(models.mlp((4,), 2, hidden=(8,), rngs=nnx.Rngs(0)))
    >>> int(start(recipe, params, rest, 0).step)
    0
    """
    zeros = Hyperparameters(jnp.float32(0), jnp.float32(0), jnp.float32(0))
    optimizer = _optimizer(recipe, zeros).init(params)
    metrics = columns_of(recipe.task.metrics)
    return RunState(
        params,
        rest,
        optimizer,
        step=jnp.int32(0),
        diverged_at=jnp.int32(NEVER),
        sums=jnp.zeros(metrics, jnp.float32),
        held_sums=jnp.zeros((2, metrics + 1), jnp.float32),
        seed=jnp.asarray(seed, jnp.uint32),
        watched=() if recipe.watch is None else recipe.watch.empty(),
        average=() if recipe.ema_decay is None else params,
        kept=() if recipe.patience is None else first_kept(params, rest),
    )


def advance(
    structure: Structure,
    recipe: Recipe,
    state: RunState,
    hyperparameters: Hyperparameters,
    batches: Array,
    data: Data,
    ranges: Array,
) -> tuple[RunState, History]:
    """Train on some rows of `batches` (`(steps, batch_size)` indices), then evaluate.

    `ranges` is `[first, stop, held_first, held_stop]`: a range of rows of `batches` and a range of
    held-out batches. Either may be empty, and as they are traced, another range costs no
    compilation. An epoch or an evaluation may be cut into any number of calls: the order of its
    sums does not change. The sums of training restart at row 0, those of an evaluation at the first
    call after training. `state.diverged_at` is the first step whose loss is not finite; the run
    ends there, is not evaluated, and from then on its means are NaN. A run that has stopped early
    keeps its means. A held-out mean of which nothing has been evaluated since the last training
    step is 0.

    >>> from flax import nnx
    >>> from jcnn import data, engine, models, training
    >>> from jcnn.training import optimizers
    >>> digits = engine.prepare(data.load("digits"), 0.2)
    >>> recipe = Recipe(training.classification(), optimizers.sgd, "constant", 20, 0, None)
    >>> model = models.mlp((8, 8, 1), 10, hidden=(32,), rngs=nnx.Rngs(0))
    >>> structure, params, rest = training.split_model(model)
    >>> state, history = advance(
    ...     structure, recipe, start(recipe, params, rest, 0), Hyperparameters(0.1, 0.0, 0.0),
    ...     jnp.arange(20 * 32).reshape(20, 32), digits, jnp.array([0, 20, 0, 1]),
    ... )
    >>> int(state.step), float(history.train["loss"]) < 2.3
    (20, True)
    """
    optimizer = _optimizer(recipe, hyperparameters)
    trains = (ranges[0] < ranges[1]) & ~has_stopped(state.kept)
    state = state._replace(
        sums=jnp.where(trains & (ranges[0] == 0), 0, state.sums),
        held_sums=jnp.where(trains, 0, state.held_sums),
    )
    state = _train(structure, recipe, optimizer, state, batches, data, ranges[0], ranges[1])
    held_sums = _evaluate(structure, recipe.task, state, data, ranges[2], ranges[3])
    state = state._replace(held_sums=held_sums)
    return state, _history(recipe.task, state, len(batches))


def _train(
    structure: Structure,
    recipe: Recipe,
    optimizer: optax.GradientTransformation,
    state: RunState,
    batches: Array,
    data: Data,
    first: Array,
    stop: Array,
) -> RunState:
    step = _make_step(structure, recipe, optimizer, data)

    def train_on(first: Array, stop: Array, state: RunState) -> RunState:
        def unfinished(carry: tuple[Array, RunState]) -> Array:
            return (carry[0] < stop) & _goes_on(carry[1])

        def body(carry: tuple[Array, RunState]) -> tuple[Array, RunState]:
            i, state = carry
            return i + 1, step(state, jax.lax.dynamic_index_in_dim(batches, i, keepdims=False))

        trained: RunState = jax.lax.while_loop(unfinished, body, (first, state))[1]
        return trained

    def observe(watch: Watch, i: Array, state: RunState) -> RunState:
        indices = jax.lax.dynamic_index_in_dim(batches, i, keepdims=False)
        inputs, targets = next_batch(recipe.augmentation, state, data, indices)
        numbers = watch.measure(structure, state, optimizer, inputs, targets)
        numbers = jnp.where(_goes_on(state), numbers, 0)
        return state._replace(watched=watch.store(state.watched, i, numbers))

    if recipe.watch is None:
        return train_on(first, stop, state)
    return train_and_watch(recipe.watch, observe, train_on, first, stop, state)


def _goes_on(state: RunState) -> Array:
    return (state.diverged_at == NEVER) & ~has_stopped(state.kept)


def _history(task: Task, state: RunState, steps: int) -> History:
    weights = state.held_sums[:, -1:]
    held = state.held_sums[:, :-1] / jnp.where(weights > 0, weights, 1)
    means = jnp.stack([state.sums / steps, *held])
    train, validation, test = (_numbers(task, row) for row in means)
    ended = state.diverged_at != NEVER
    return jax.tree.map(
        lambda number: jnp.where(ended, jnp.nan, number), History(train, validation, test)
    )


def _numbers(task: Task, means: Array) -> dict[str, Array]:
    """Return the metrics, given the means of all their columns."""
    numbers, first = {}, 0
    for name, metric in task.metrics.items():
        each = as_metric(metric)
        numbers[name] = each.of_means(means[first : first + each.columns])
        first += each.columns
    return numbers


def _optimizer(recipe: Recipe, values: Hyperparameters) -> optax.GradientTransformation:
    rate = recipe.learning_rate(values.learning_rate)
    optimizer = recipe.optimizer(rate, momentum=values.momentum, weight_decay=values.weight_decay)
    if recipe.gradient_clip is not None:
        optimizer = optax.chain(optax.clip_by_global_norm(recipe.gradient_clip), optimizer)
    if recipe.accumulation_steps > 1:
        steps = optax.MultiSteps(optimizer, every_k_schedule=recipe.accumulation_steps)
        optimizer = steps.gradient_transformation()
    return in_float32(optimizer)


def _make_step(
    structure: Structure, recipe: Recipe, optimizer: optax.GradientTransformation, data: Data
) -> Callable[[RunState, Array], RunState]:
    task = recipe.task

    def loss_of(params: Any, rest: Any, inputs: Array, targets: Any) -> tuple[Array, Any]:
        outputs, rest = apply_train(structure, params, rest, inputs)
        parts = []
        for share, of_part in targets:
            columns = [jnp.mean(v, axis=0) for v in _columns(task, outputs, of_part)]
            loss = jnp.mean(task.loss(outputs, of_part))
            parts.append((share * loss, share * jnp.concatenate(columns)))
        loss, metrics = (sum(each[1:], start=each[0]) for each in zip(*parts, strict=True))
        return loss, (rest, metrics)

    def step(state: RunState, indices: Array) -> RunState:
        batch = next_batch(recipe.augmentation, state, data, indices)
        inputs, targets = mixed(recipe.augmentation, state, *batch)
        (loss, (rest, metrics)), gradients = jax.value_and_grad(loss_of, has_aux=True)(
            state.params, state.rest, inputs, targets
        )
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        first = (state.diverged_at == NEVER) & ~jnp.isfinite(loss)
        diverged_at = jnp.where(first, state.step, state.diverged_at)
        return state._replace(
            params=params,
            rest=rest,
            optimizer=optimizer_state,
            step=state.step + 1,
            diverged_at=diverged_at,
            average=()
            if recipe.ema_decay is None
            else update_average(state.average, params, state.step, recipe.ema_decay),
            sums=state.sums + metrics,
        )

    return step


def _columns(task: Task, outputs: Any, targets: Array) -> list[Array]:
    return [as_metric(metric).per_example(outputs, targets) for metric in task.metrics.values()]


def _evaluate(
    structure: Structure, task: Task, state: RunState, data: Data, first: Array, stop: Array
) -> Array:
    """Return `state.held_sums` with the held-out batches from `first` to `stop` added."""
    params = evaluated_params(state.params, state.average, state.optimizer)
    params, rest = chosen_weights(state.kept, params, state.rest)

    def add(i: Array, sums: Array) -> Array:
        inputs = jax.lax.dynamic_index_in_dim(data.held_inputs, i, keepdims=False)
        targets = jax.lax.dynamic_index_in_dim(data.held_targets, i, keepdims=False)
        weights = jax.lax.dynamic_index_in_dim(data.held_weights, i, keepdims=False)
        # Merged inside the loop, so that the model may change its state at this trace level.
        outputs = apply_eval(structure, params, rest, normalize(inputs, data))
        columns = jnp.concatenate(_columns(task, outputs, targets), axis=1)
        counted = weights[:, None]
        values = jnp.sum(counted * jnp.where(counted > 0, columns, 0), axis=0)
        row = jnp.concatenate([values, jnp.sum(weights)[None]])
        return sums.at[jnp.where(i < data.validation_batches, 0, 1)].add(row)

    ended = state.diverged_at != NEVER  # its means are NaN anyway
    if state.kept != ():
        ended = ended | (state.kept.stopped & ~state.kept.used)
    return jax.lax.fori_loop(first, jnp.where(ended, first, stop), add, state.held_sums)
