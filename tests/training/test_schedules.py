"""Schedules: the named shapes, any of Optax's, one's own, and what is refused."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jcnn.errors import UsageError
from jcnn.training.schedules import learning_rate_schedule


def rates(shape, warmup=0, steps=8):
    rate = learning_rate_schedule(shape, 0.5, total_steps=steps, warmup_steps=warmup)
    return [round(float(rate(t)), 4) for t in range(steps + 1)]


def test_named_schedules():
    assert rates("constant") == [0.5] * 9
    assert rates("linear")[::4] == [0.5, 0.25, 0.0]
    assert rates("cosine")[::4] == [0.5, 0.25, 0.0]
    assert rates("linear", 4)[:5] == [0.125, 0.25, 0.375, 0.5, 0.5]


def half_way(total_steps):
    return lambda step: jnp.where(step < total_steps // 2, 1.0, 0.1)


def by_count(count):
    return 1.0 / (1 + count)


SAME = {
    "constant": (optax.constant_schedule, "constant"),
    "cosine": (optax.cosine_decay_schedule, "cosine"),
    "linear": (optax.linear_schedule, "linear"),
    "power 1": (partial(optax.polynomial_schedule, power=1), "linear"),
    "another name": (lambda n: optax.linear_schedule(1.0, 0.0, n), "linear"),
    "a schedule itself": (optax.linear_schedule(1.0, 0.0, 8), "linear"),
}


@pytest.mark.parametrize("name", SAME)
def test_a_schedule_of_optax_is_the_named_one(name):
    shape, named = SAME[name]
    assert rates(shape) == rates(named)


def test_schedules_of_ones_own():
    assert rates(half_way) == [0.5] * 4 + [0.05] * 5
    assert rates(half_way, warmup=2) == [0.25, 0.5] + [0.5] * 3 + [0.05] * 4
    assert rates(by_count)[:3] == [0.5, 0.25, 0.1667]
    decaying = partial(optax.exponential_decay, decay_rate=0.5)
    assert rates(decaying)[8] == 0.25
    fixed = partial(optax.exponential_decay, transition_steps=1, decay_rate=0.5)
    assert rates(fixed)[:3] == [0.5, 0.25, 0.125]


def test_a_schedule_with_a_warm_up_warms_up_once():
    shape = optax.warmup_cosine_decay_schedule
    expected = optax.warmup_cosine_decay_schedule(0.0, 0.5, 4, 8)
    np.testing.assert_allclose(rates(shape, 4), [expected(t) for t in range(9)], atol=1e-4)
    assert rates(shape) == rates("cosine")


@pytest.mark.parametrize(
    ("shape", "warmup", "message"),
    [
        ("step", 0, "constant, cosine, linear"),
        ("cosine", 8, "warmup_steps=8; expected 0 to 7"),
        (optax.exponential_decay, 0, "optax:exponential_decay .* no value for decay_rate"),
        (lambda step: jnp.zeros(2), 0, r"its multiplier is \(2,\), not a scalar"),
        (lambda step: None, 0, "its multiplier is NoneType"),
        (lambda n: lambda step: 1.0 if step < n else 0.0, 0, "in terms of jax.numpy"),
    ],
)
def test_what_is_no_schedule_says_why(shape, warmup, message):
    with pytest.raises(UsageError, match=message) as caught:
        rates(shape, warmup)
    assert "\n" not in str(caught.value)
