"""Optimizers by name lower a quadratic; learning-rate schedules have their shapes."""

import jax
import jax.numpy as jnp
import pytest

from jcnn import names
from jcnn.training import optimizers


@pytest.mark.parametrize("optimizer", names.TABLES["optimizer"])
def test_every_optimizer_lowers_a_quadratic(optimizer):
    make = names.lookup("optimizer", optimizer)
    rate = 0.003 if optimizer == "lion" else 0.05
    transform = make(
        optimizers.schedule("constant", rate, total_steps=100), momentum=0.9, weight_decay=0.0
    )
    params = {"w": jnp.full((3, 3), 0.5), "b": jnp.full(3, -0.5)}
    state = transform.init(params)

    @jax.jit
    def step(params, state):
        updates, state = transform.update(params, state, params)
        return jax.tree.map(jnp.add, params, updates), state

    with jax.numpy_dtype_promotion("standard"):  # Optax's Adam multiplies float by int32
        for _ in range(100):
            params, state = step(params, state)
    assert all(float(jnp.abs(p).max()) < 0.35 for p in jax.tree.leaves(params))


def test_schedules():
    def rates(shape, warmup=0):
        rate = optimizers.schedule(shape, 0.5, total_steps=8, warmup_steps=warmup)
        return [round(float(rate(t)), 4) for t in range(9)]

    assert rates("constant") == [0.5] * 9
    assert rates("linear")[::4] == [0.5, 0.25, 0.0]
    assert rates("cosine")[::4] == [0.5, 0.25, 0.0]
    assert rates("linear", 4)[:5] == [0.125, 0.25, 0.375, 0.5, 0.5]
    with pytest.raises(ValueError, match="constant, cosine, linear"):
        optimizers.schedule("step", 1.0, total_steps=8)
