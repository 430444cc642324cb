"""Studies that compare any optimizers and schedules: labels, groups, results and run keys."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcnn
from jcnn.errors import UsageError
from jcnn.study import Study


def takes_a_number(rate):
    return optax.chain(optax.scale_by_adam(), optax.scale(-rate))


def half_way(total_steps):
    return lambda step: jnp.where(step < total_steps // 2, 1.0, 0.1)


RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 100)
EXAMPLES = (RNG.normal(size=(100, 6)) + 2 * LABELS[:, None]).astype(np.float32)


def linear(input_shape, outputs, *, rngs):
    return jcnn.layers.Dense(input_shape[0], outputs, rngs=rngs)


def study(factors, **settings):
    settings = {"epochs": 1, "seeds": 1, "learning_rates": [0.1], "batch_size": 8} | settings
    return Study(data=(EXAMPLES, LABELS), model=linear, factors=factors, **settings)


def keys(factors, **settings):
    one = study(factors, **settings)
    return [run.key for job in one.jobs(one.prepare()) for run in job.runs]


def test_a_study_compares_any_optimizers():
    optimizers = ["adam", optax.adam, partial(optax.adam, b1=0.95), takes_a_number]
    one = study({"optimizer": optimizers}, learning_rates=[0.1, 0.03, 0.01])
    labels = [levels.names()["optimizer"] for levels in one.combinations]
    assert labels == ["adam", "optax:adam", "optax:adam(b1=0.95)", f"{__name__}:takes_a_number"]
    assert one.compilations == 4  # the three learning rates of each share a program


@pytest.mark.slow
def test_an_optimizer_in_a_study_is_its_update_rule():
    optimizers = ["adam", optax.adam, partial(optax.adam, b1=0.95), takes_a_number]
    one = study({"optimizer": optimizers}, learning_rates=[0.1, 0.03, 0.01])
    labels = [levels.names()["optimizer"] for levels in one.combinations]
    losses = {}
    for record in one.run().records:
        losses[labels[record.combination], record.learning_rate] = record.outcome.curves[
            "train_loss"
        ]
    assert losses["adam", 0.1] == losses["optax:adam", 0.1]
    np.testing.assert_allclose(losses[labels[3], 0.1], losses["adam", 0.1], rtol=1e-6)
    assert losses["optax:adam", 0.1] != losses[labels[2], 0.1]
    assert losses["optax:adam", 0.1] != losses["optax:adam", 0.01]


def test_a_run_key_tells_programs_apart():
    levels = ["adam", optax.adam, partial(optax.adam, b1=0.95), partial(optax.adam, b1=0.94)]
    every = [keys({"optimizer": [level]})[0] for level in levels]
    assert len(set(every)) == 4
    assert keys({"optimizer": {"adam": optax.adam}}) == every[1:2]  # the name decides nothing
    assert keys({"optimizer": ["optax:adam"]}) == every[1:2]


def test_weight_decay_that_an_optimizer_does_not_take_is_refused():
    with pytest.raises(UsageError, match="optax:adam has no argument 'weight_decay'"):
        study({"optimizer": [optax.adam], "weight_decay": [0.1]}).run()
    decays = {"optimizer": [optax.adamw], "weight_decay": [0.0, 5.0]}
    none, strong = (r.outcome.curves["train_loss"] for r in study(decays).run().records)
    assert none != strong


def test_a_study_compares_any_schedules():
    levels = ["cosine", optax.cosine_decay_schedule, half_way]
    one = study({"schedule": levels})
    labels = [combination.names()["schedule"] for combination in one.combinations]
    assert labels == ["cosine", "optax:cosine_decay_schedule", f"{__name__}:half_way"]
    named, same, other = (r.outcome.curves["train_loss"] for r in one.run().records)
    assert named == same != other
    assert len({keys({"schedule": [level]})[0] for level in levels}) == 3
    with pytest.raises(UsageError, match="is not a schedule"):
        study({"schedule": [lambda step: None]}).run()


def test_a_warm_up_longer_than_the_run_is_refused():
    with pytest.raises(UsageError, match="^warmup_steps=99; expected 0 to 7, fewer than the 8"):
        study({}, warmup_steps=99).run()
