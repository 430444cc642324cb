"""Optimizers: each equals Optax's, converges, keeps dtypes and recompiles for no number."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from jcnn import names, training
from jcnn.errors import UsageError
from jcnn.training.optimizers import adapt

RATE, MOMENTUM, DECAY = 0.05, 0.8, 0.01


def l2(optimizer):
    return optax.chain(optax.add_decayed_weights(DECAY), optimizer)


# What each name is, written with Optax alone.
NAMED = {
    "sgd": l2(optax.sgd(RATE)),
    "momentum": l2(optax.sgd(RATE, momentum=MOMENTUM)),
    "nesterov": l2(optax.sgd(RATE, momentum=MOMENTUM, nesterov=True)),
    "adagrad": l2(optax.adagrad(RATE)),
    "rmsprop": l2(optax.rmsprop(RATE)),
    "adam": l2(optax.adam(RATE)),
    "adamw": optax.adamw(RATE, weight_decay=DECAY),
    "lion": optax.lion(RATE, weight_decay=DECAY),
    "muon": contrib.muon(RATE, beta=MOMENTUM, weight_decay=DECAY),
}


def takes_a_number(rate):
    return optax.chain(optax.scale_by_adam(), optax.scale(-rate))


def takes_a_schedule(schedule):
    return optax.chain(optax.trace(0.5), optax.scale_by_schedule(lambda step: -schedule(step)))


def takes_keywords(**numbers):
    return optax.sgd(numbers.pop("learning_rate"), **numbers)


def requires_numbers(learning_rate, *, momentum, weight_decay):
    return optax.chain(
        optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum=momentum)
    )


# A factory, the numbers passed to it, and the same written with Optax alone.
ADAPTED = {
    "adam": (optax.adam, (), optax.adam(RATE)),
    "lion": (optax.lion, (), optax.lion(RATE)),
    "partial": (partial(optax.adam, b1=0.95), (), optax.adam(RATE, b1=0.95)),
    "contrib": (contrib.muon, (), contrib.muon(RATE)),
    "own default kept": (optax.sgd, (), optax.sgd(RATE)),
    "momentum": (optax.sgd, ("momentum",), optax.sgd(RATE, momentum=MOMENTUM)),
    "weight decay": (optax.adamw, ("weight_decay",), optax.adamw(RATE, weight_decay=DECAY)),
    "number": (takes_a_number, (), optax.adam(RATE)),
    "schedule": (takes_a_schedule, (), optax.sgd(RATE, momentum=0.5)),
    "keywords": (takes_keywords, ("momentum",), optax.sgd(RATE, momentum=MOMENTUM)),
    "required": (requires_numbers, (), l2(optax.sgd(RATE, momentum=MOMENTUM))),
}
REFERENCES = NAMED | {f"own {name}": reference for name, (*_, reference) in ADAPTED.items()}


def parameters(dtype=jnp.float32):
    return {"w": jnp.full((3, 3), 0.5, dtype), "b": jnp.full(3, -0.5, dtype)}


def trained(transform, steps, params):
    """Descend a quadratic whose curvatures differ."""

    def step(carry, _):
        params, state = carry
        gradients = {"w": params["w"], "b": 3 * params["b"]}
        updates, state = transform.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, transform.init(params)), length=steps)[0][0]


def build(name, rate=RATE, momentum=MOMENTUM, weight_decay=DECAY):
    if name in NAMED:
        optimizer = names.lookup("optimizer", name)
    else:
        optimizer = adapt(*ADAPTED[name.removeprefix("own ")][:2])
    return optimizer(lambda step: rate, momentum=momentum, weight_decay=weight_decay)


def test_the_table_is_tested_whole():
    assert set(NAMED) == set(names.TABLES["optimizer"])


@pytest.mark.parametrize("name", REFERENCES)
def test_an_optimizer_is_that_of_optax(name):
    result, expected = (trained(t, 4, parameters()) for t in (build(name), REFERENCES[name]))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), result, expected)


@pytest.mark.parametrize("name", REFERENCES)
def test_an_optimizer_converges(name):
    rate = 0.003 if "lion" in name else RATE
    params = trained(build(name, rate), 100, parameters())
    assert all(float(jnp.abs(p).max()) < 0.35 for p in jax.tree.leaves(params))


@pytest.mark.parametrize("name", REFERENCES)
def test_an_optimizer_keeps_the_dtype(name):
    dtypes = jax.tree.map(lambda p: p.dtype, trained(build(name), 2, parameters(jnp.bfloat16)))
    assert dtypes == {"w": jnp.bfloat16, "b": jnp.bfloat16}


@pytest.mark.parametrize("name", REFERENCES)
def test_new_numbers_cost_no_compilation(name):
    @jax.jit
    def step(rate, momentum, weight_decay):
        return trained(build(name, rate, momentum, weight_decay), 2, parameters())["w"]

    numbers = [np.float32(value) for value in (RATE, MOMENTUM, DECAY)]
    first, other = step(*numbers), step(*(np.float32(0.5) * value for value in numbers))
    assert step._cache_size() == 1
    assert not np.allclose(first, other)


@pytest.mark.parametrize(
    ("factory", "passed", "message"),
    [
        (optax.adam, ["weight_decay"], "optax:adam has no argument 'weight_decay'"),
        (optax.adam, ["momentum"], "leave out the factor 'momentum', or wrap the optimizer"),
        (lambda: optax.sgd(0.1), [], "it takes no learning rate"),
        (partial(optax.sgd, 0.1), [], "it takes no learning rate"),
        (lambda rate: None, [], "'NoneType' object has no attribute 'init'; expected"),
        (optax.adam(0.1).update, [], "is not an optimizer"),
        (contrib.reduce_on_plateau, [], "is not an optimizer"),
        (lambda rate: optax.sgd(rate) if rate > 0 else 1, [], "given a schedule, .* a number, "),
        (
            lambda rate: optax.GradientTransformation(
                lambda params: jnp.float32(0), lambda updates, state, _: (updates, jnp.int32(0))
            ),
            [],
            "state changes structure, shape or dtype",
        ),
    ],
)
def test_what_is_no_optimizer_says_why(factory, passed, message, unchecked_types):
    with pytest.raises(UsageError, match=message) as caught:
        adapt(factory, passed)
    assert "\n" not in str(caught.value)


def test_a_recipe_takes_an_adapted_optimizer():
    recipe = training.Recipe(training.classification(), adapt(optax.adam), "constant", 9, 0, None)
    assert training.start(recipe, parameters(), {}, 0).optimizer[0].mu["w"].shape == (3, 3)
