"""Pooling against plain loops, Flax and PyTorch: values and gradients."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from jcnn import pooling
from jcnn.layers import Pool
from tests import reference
from tests.pooling.cases import CASES, POOLINGS, sample


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients_match_plain_loops(name, case):
    spatial, window, strides, padding, dilation = case
    function, reduce = POOLINGS[name]
    x = sample(spatial)

    def apply(x):
        return function(x, window, strides, padding, dilation=dilation)

    @jax.jit
    def value_and_gradient(x, dy):
        y, pullback = jax.vjp(apply, x)
        return y, pullback(dy)[0]

    shape = jax.eval_shape(apply, x).shape
    dy = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected, dx = reference.pool(x, window, strides, padding, dilation, reduce(window), dy)
    y, gradient = value_and_gradient(jnp.asarray(x), jnp.asarray(dy))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient, dx, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_kept_and_accumulated_in_float32(name, dtype):
    function, _ = POOLINGS[name]
    x = jnp.asarray(sample((9, 9))).astype(dtype)
    y = function(x, (3, 3), 2, "SAME")
    assert y.dtype == dtype
    exact = function(x.astype(jnp.float32), (3, 3), 2, "SAME").astype(dtype)
    np.testing.assert_array_equal(y.astype(jnp.float32), exact.astype(jnp.float32))


def test_long_sums_are_exact_in_half_precision():
    ones = jnp.ones((1, 64, 64, 1), jnp.bfloat16)
    assert float(pooling.avg_pool(ones, (64, 64))[0, 0, 0, 0]) == 1.0
    assert float(pooling.l2_pool(ones, (64, 64))[0, 0, 0, 0]) == 64.0


def test_max_of_integers():
    x = jnp.arange(-8, 8, dtype=jnp.int32).reshape(4, 4, 1)
    y = pooling.max_pool(x, (3, 3), 2, "SAME")
    assert y.dtype == jnp.int32
    assert y[..., 0].tolist() == [[2, 3], [6, 7]]


@pytest.mark.parametrize("case", [c for c in CASES if c[4] == (1,) * len(c[4])], ids=str)
def test_agrees_with_flax(case):
    spatial, window, strides, padding, _ = case
    x = jnp.asarray(sample(spatial))
    for ours, theirs in ((pooling.max_pool, linen.max_pool), (pooling.avg_pool, linen.avg_pool)):
        with jax.numpy_dtype_promotion("standard"):  # Flax divides float32 by int32
            expected = theirs(x, window, strides, padding)
        np.testing.assert_allclose(
            ours(x, window, strides, padding), expected, rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(("window", "stride"), [((2, 2), 2), ((3, 3), 2), ((3, 2), 1)])
def test_agrees_with_pytorch(window, stride):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x = sample((7, 8))
    pairs = {
        "max": (pooling.max_pool, functional.max_pool2d),
        "avg": (pooling.avg_pool, functional.avg_pool2d),
        "l2": (pooling.l2_pool, lambda x, w, s: functional.lp_pool2d(x, 2.0, w, s)),
    }
    for name, (ours, theirs) in pairs.items():
        values = x if name != "l2" else x + 3
        y, pullback = jax.vjp(lambda v, ours=ours: ours(v, window, stride), jnp.asarray(values))
        dy = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
        t = torch.tensor(values.transpose(0, 3, 1, 2).copy(), requires_grad=True)
        expected = theirs(t, window, stride)
        expected.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
        np.testing.assert_allclose(
            y, expected.detach().numpy().transpose(0, 2, 3, 1), rtol=1e-5, atol=1e-6
        )
        gradient = t.grad.numpy().transpose(0, 2, 3, 1)
        np.testing.assert_allclose(pullback(jnp.asarray(dy))[0], gradient, rtol=1e-4, atol=1e-6)


def test_weights_are_learned():
    x = jnp.asarray(sample((5, 5)))
    for strides in (2, 1):
        weights = jnp.ones((2, 2, 2)) / 4

        def apply(w, strides=strides):
            return pooling.weighted_avg_pool(x, (2, 2), strides, weights=w)

        average = pooling.avg_pool(x, (2, 2), strides)
        np.testing.assert_allclose(apply(weights), average, rtol=1e-5, atol=1e-6)
        gradient = jax.grad(lambda w, apply=apply: apply(w).sum())(weights)
        corner = x[:, : 5 - 1 : strides, : 5 - 1 : strides].sum((0, 1, 2))
        np.testing.assert_allclose(gradient[0, 0], corner, rtol=1e-5, atol=1e-5)
    assert pooling.gaussian_weights((3, 3)).argmax() == 4
    assert abs(pooling.gaussian_weights((4, 3, 2)).sum() - 1) < 1e-6


def test_global_pools_reduce_all_positions():
    x = jnp.asarray(sample((4, 5)))
    np.testing.assert_allclose(pooling.global_max_pool(x), x.max((1, 2)))
    np.testing.assert_allclose(pooling.global_avg_pool(x), x.mean((1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pooling.global_l2_pool(x), jnp.sqrt((x**2).sum((1, 2))), rtol=1e-5)
    tied = jax.grad(lambda x: pooling.global_max_pool(x).sum())(jnp.ones((1, 3, 3, 1)))
    assert tied.sum() == 1
    assert tied[0, 0, 0, 0] == 1


@pytest.mark.parametrize("output", [(2, 3), (3, 5), (1, 1)])
def test_adaptive_pools_match_loops(output):
    x = sample((5, 7))
    for function, reduce in (
        (pooling.adaptive_max_pool, np.max),
        (pooling.adaptive_avg_pool, np.mean),
    ):
        y = function(jnp.asarray(x), output)
        for i, j in itertools.product(range(output[0]), range(output[1])):
            rows = slice(i * 5 // output[0], -(-(i + 1) * 5 // output[0]))
            columns = slice(j * 7 // output[1], -(-(j + 1) * 7 // output[1]))
            expected = reduce(x[:, rows, columns], axis=(1, 2))
            np.testing.assert_allclose(y[:, i, j], expected, rtol=1e-5, atol=1e-6)


def test_mixtures_reach_the_maximum_and_the_average():
    x = jnp.abs(jnp.asarray(sample((6, 6)))) + 0.1
    largest, average = pooling.max_pool(x, (2, 2)), pooling.avg_pool(x, (2, 2))
    np.testing.assert_allclose(pooling.mixed_pool(x, (2, 2), alpha=1.0), largest)
    np.testing.assert_allclose(pooling.mixed_pool(x, (2, 2), alpha=0.0), average)
    np.testing.assert_allclose(pooling.gem_pool(x, (2, 2), p=1.0), average, rtol=1e-5)
    np.testing.assert_allclose(pooling.gem_pool(x, (2, 2), p=60.0), largest, rtol=0.05)
    assert jnp.isfinite(jax.grad(lambda p: pooling.gem_pool(x, (2, 2), p=p).sum())(3.0))


def test_circular_blur_is_equivariant_to_shifts():
    x = jnp.asarray(sample((8, 8)))
    y = pooling.blur_pool(x, (2, 2), "CIRCULAR")
    moved = pooling.blur_pool(jnp.roll(x, 2, axis=1), (2, 2), "CIRCULAR")
    np.testing.assert_allclose(moved, jnp.roll(y, 1, axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(pooling.blur_pool(x, (2, 2), filter_size=1), x[:, ::2, ::2])
    ones = pooling.blur_pool(jnp.ones((8, 8, 1)), (2, 2), "CIRCULAR")
    np.testing.assert_allclose(ones, 1.0, rtol=1e-6)


@pytest.mark.parametrize("spatial", [(6,), (6, 4), (2, 6, 4)])
def test_an_integer_covers_every_axis_between_batch_and_channels(spatial):
    x = jnp.asarray(sample(spatial))
    window = (2,) * len(spatial)
    for function, _ in POOLINGS.values():
        np.testing.assert_array_equal(function(x, 2), function(x, window))
    for function in (pooling.adaptive_max_pool, pooling.adaptive_avg_pool, pooling.blur_pool):
        np.testing.assert_array_equal(function(x, 2), function(x, window))
    layer = Pool(pooling.max_pool, 2, padding=1)
    pairs = ((1, 1),) * len(spatial)
    np.testing.assert_array_equal(layer(x), pooling.max_pool(x, window, padding=pairs))


@pytest.mark.parametrize("shape", [(4, 1), (2, 3, 4, 4, 4, 1)])
def test_an_integer_needs_one_to_three_axes_between(shape, unchecked_types):
    message = r"x has shape .*the integer window_shape=2 .* such as window_shape=\(2, 2\)"
    with pytest.raises(ValueError, match=message):
        pooling.max_pool(jnp.ones(shape), 2)
