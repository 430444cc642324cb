"""Random pooling as a layer: key streams, train and eval, pairing with other pooling, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jcnn
from jcnn import layers, models, pooling
from jcnn.testing import assert_layer


def noisy(x, window_shape, strides=None, padding="VALID", *, scale=0.1, key=None):
    """A user's random pooling, deterministic without a key."""
    y = pooling.avg_pool(x, window_shape, strides, padding)
    return y if key is None else y + scale * jax.random.normal(key, y.shape, y.dtype)


DRAWING = {
    "stochastic": (pooling.stochastic_pool, {"deterministic": True}),
    "own": (noisy, {}),
    "partial": (functools.partial(noisy, scale=0.2), {}),
    "learned": (layers.Learned(noisy, scale=0.3), {}),
}


def positive(*shape):
    return jnp.abs(jax.random.normal(jax.random.key(1), shape)) + 0.1


def params(model):
    return jax.tree.leaves(nnx.state(model, nnx.Param))


@pytest.mark.parametrize("name", DRAWING)
def test_a_pool_is_random_only_in_training(name):
    function, options = DRAWING[name]
    x = positive(2, 4, 4, 3)
    pool, again, other = (layers.Pool(function, (2, 2), rngs=nnx.Rngs(seed)) for seed in (0, 0, 1))
    drawn = [pool(x) for _ in range(3)]
    assert all((a != b).any() for a, b in zip(drawn, [*drawn[1:], other(x)], strict=True))
    np.testing.assert_array_equal(drawn, [again(x) for _ in range(3)])
    pool.eval()
    mean = function(x, (2, 2), **options)
    for _ in range(2):
        np.testing.assert_allclose(pool(x), mean, rtol=1e-6)
    assert_layer(pool, x, shape=(2, 2, 2, 3), gradients=name != "stochastic")
    pool.train()
    np.testing.assert_array_equal(pool(x), again(x))  # evaluation took no key
    np.testing.assert_allclose(nnx.view(pool, deterministic=True)(x), mean, rtol=1e-6)


def test_pools_of_one_model_draw_independently_from_the_pooling_stream():
    x = positive(2, 4, 4, 3)

    def drawn(rngs):
        return [layers.Pool(pooling.stochastic_pool, (2, 2), rngs=rngs)(x) for _ in range(2)]

    first, second = drawn(nnx.Rngs(0))
    assert (first != second).any()
    np.testing.assert_array_equal(drawn(nnx.Rngs(0, pooling=5)), drawn(nnx.Rngs(pooling=5)))
    assert (drawn(nnx.Rngs(0, pooling=5))[0] != first).any()
    np.testing.assert_array_equal(drawn(nnx.Rngs(5).default)[0], drawn(nnx.Rngs(pooling=5))[0])


@pytest.mark.parametrize("make", [models.lenet, models.plain_cnn, models.vgg])
def test_parameters_do_not_depend_on_the_pooling(make):
    """In a study, seed s means the same initial values for every pooling (paired runs)."""
    one, other = (
        make((8, 8, 1), 3, pooling=pool, normalization=layers.batch_norm, rngs=nnx.Rngs(3))
        for pool in (pooling.max_pool, pooling.stochastic_pool)
    )
    for mine, theirs in zip(params(one), params(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert len(jax.tree.leaves(nnx.state(other))) > len(jax.tree.leaves(nnx.state(one)))


def test_a_key_in_a_partial_is_kept():
    key = jax.random.key(3)
    pool = layers.Pool(functools.partial(pooling.stochastic_pool, key=key), (2,))
    x = positive(8, 2)
    expected = pooling.stochastic_pool(x, (2,), key=key)
    for _ in range(2):
        np.testing.assert_array_equal(pool(x), expected)


def test_models_of_many_seeds_under_vmap():
    x = positive(4, 6, 6, 1)

    def drawn(seed):
        rngs = nnx.Rngs(jax.random.key(seed))
        model = models.lenet(
            (6, 6, 1), 3, features=(4,), pooling=pooling.stochastic_pool, rngs=rngs
        )
        return model(x), model(x)

    together = jax.jit(jax.vmap(drawn))(jnp.arange(3))
    for seed in range(3):
        for mine, theirs in zip(drawn(seed), together, strict=True):
            np.testing.assert_allclose(mine, theirs[seed], rtol=1e-4, atol=1e-5)
    assert (together[0] != together[1]).any()


def test_a_diagnosis_does_not_mistake_random_pooling_for_an_activation():
    rngs = nnx.Rngs(0)
    model = layers.Sequential(
        conv=layers.Conv(1, 4, (3, 3), rngs=rngs),
        pool=layers.Pool(pooling.stochastic_pool, (2, 2), rngs=rngs),
        overlapping=layers.Pool(pooling.stochastic_pool, (2, 2), 1, rngs=rngs),
        flatten=layers.Flatten(),
        output=layers.Dense(36, 3, rngs=rngs),
    )
    before = jax.random.key_data(model.pool.rngs.key[...]), model.pool.rngs.count[...]
    diagnosis = jcnn.diagnose(model, positive(16, 8, 8, 1), jnp.arange(16) % 3)
    assert [(layer.name, layer.activation) for layer in diagnosis.layers] == [
        ("conv", None),
        ("output", None),
    ]
    assert all(np.isfinite(layer.gradient) and layer.gradient > 0 for layer in diagnosis.layers)
    after = jax.random.key_data(model.pool.rngs.key[...]), model.pool.rngs.count[...]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("rngs", "error", "message"),
    [
        (
            None,
            ValueError,
            r"stochastic_pool is random, but rngs is missing; write Pool\(..., rngs=",
        ),
        (nnx.Rngs(params=0), ValueError, r"neither a 'pooling' stream nor a default one; pass nnx"),
        (0, TypeError, "rngs is int; expected nnx.Rngs or nnx.RngStream"),
    ],
)
def test_errors_say_what_to_change(rngs, error, message, unchecked_types):
    with pytest.raises(error, match=message):
        layers.Pool(pooling.stochastic_pool, (2, 2), rngs=rngs)
    layers.Pool(pooling.max_pool, (2, 2), rngs=nnx.Rngs(params=0))
