"""Pooling against plain loops, Flax and PyTorch: values, gradients, singular points, errors."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from jcnn import pooling
from jcnn.layers import Pool
from tests import reference

# spatial shape, window, strides, padding, dilation
CASES = [
    ((6,), (2,), (2,), "VALID", (1,)),
    ((7,), (3,), (2,), "SAME", (1,)),
    ((7,), (2,), (1,), ((1, 0),), (3,)),
    ((4, 6), (2, 2), (2, 2), "VALID", (1, 1)),
    ((5, 5), (2, 2), (2, 2), "VALID", (1, 1)),
    ((5, 5), (2, 2), (2, 2), "SAME", (1, 1)),
    ((6, 7), (3, 3), (2, 2), "SAME", (1, 1)),
    ((5, 6), (3, 2), (1, 2), ((1, 1), (0, 1)), (1, 2)),
    ((4, 4, 4), (2, 2, 2), (2, 2, 2), "VALID", (1, 1, 1)),
    ((3, 4, 4), (2, 3, 2), (1, 2, 1), "SAME", (1, 1, 1)),
]


def largest(values, inside):
    masked = np.where(inside, values, -np.inf)
    return masked.max(), np.eye(len(values))[masked.argmax()]


def mean(values, inside):
    return values.sum() / len(values), np.full(len(values), 1 / len(values))


def mean_of_real(values, inside):
    return values.sum() / inside.sum(), inside / inside.sum()


def norm(p):
    def reduce(values, inside):
        total = (np.abs(values) ** p).sum() ** (1 / p)
        if total == 0:
            return 0.0, np.zeros(len(values))
        return total, np.sign(values) * (np.abs(values) / total) ** (p - 1)

    return reduce


def largest_size(values, inside):
    size = np.abs(values)
    return size.max(), np.sign(values) * np.eye(len(values))[size.argmax()]


def gaussian(window):
    weights = pooling.gaussian_weights(window).astype(np.float64).ravel()
    return lambda values, inside: (values @ weights, weights)


def soft(values, inside):
    shifted = np.where(inside, np.exp(values - values[inside].max()), 0)
    weights = shifted / shifted.sum()
    y = weights @ values
    return y, weights * (1 + values - y)


def proportional(values, inside):
    positive = np.maximum(values, 0)
    weights = positive / (positive.sum() or 1)
    return weights @ values, weights


def stochastic_mean(x, *arguments, **options):
    return jax.jit(lambda x: pooling.stochastic_pool(x, *arguments, deterministic=True, **options))(
        x
    )


POOLINGS = {
    "max": (pooling.max_pool, lambda w: largest),
    "avg": (pooling.avg_pool, lambda w: mean),
    "avg_real": (
        lambda *a, **k: pooling.avg_pool(*a, count_include_pad=False, **k),
        lambda w: mean_of_real,
    ),
    "l2": (pooling.l2_pool, lambda w: norm(2)),
    "lp": (lambda *a, **k: pooling.lp_pool(*a, p=3.0, **k), lambda w: norm(3)),
    "lp_inf": (lambda *a, **k: pooling.lp_pool(*a, p=np.inf, **k), lambda w: largest_size),
    "weighted_avg": (pooling.weighted_avg_pool, gaussian),
    "soft": (pooling.soft_pool, lambda w: soft),
    "stochastic mean": (stochastic_mean, lambda w: proportional),
}


def sample(spatial, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, *spatial, 2)).astype(np.float32)
    # Ties and zeros, so that the rules for them are exercised.
    x[rng.random(x.shape) < 0.3] = 0.0
    return x.astype(dtype)


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients_match_plain_loops(name, case):
    spatial, window, strides, padding, dilation = case
    function, reduce = POOLINGS[name]
    x = sample(spatial)

    def apply(x):
        return function(x, window, strides, padding, dilation=dilation)

    y, pullback = jax.vjp(apply, jnp.asarray(x))
    dy = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    expected, dx = reference.pool(x, window, strides, padding, dilation, reduce(window), dy)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(pullback(jnp.asarray(dy))[0], dx, rtol=2e-4, atol=2e-5)


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


@pytest.mark.parametrize("strides", [2, 1])
def test_the_first_maximum_receives_the_gradient(strides):
    x = jnp.ones((2, 4, 1)) if strides == 1 else jnp.ones((4, 4, 1))
    grad = jax.grad(lambda x: pooling.max_pool(x, (2, 2), strides).sum())(x)[..., 0]
    if strides == 2:
        assert grad.tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    else:
        assert grad.tolist() == [[1, 1, 1, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("strides", [2, 1])
def test_zero_windows_have_finite_gradients_and_nan_propagates(name, strides):
    function, _ = POOLINGS[name]
    zeros = jnp.zeros((4, 4, 1))
    assert jnp.isfinite(jax.grad(lambda x: function(x, (2, 2), strides).sum())(zeros)).all()
    assert jnp.isnan(function(zeros.at[0, 0, 0].set(jnp.nan), (2, 2), strides)[0, 0, 0])


@pytest.mark.parametrize("strides", [(2, 2), (1, 1)])
def test_max_pooling_passes_no_gradient_through_a_window_with_nan(strides):
    x = jnp.arange(16.0).reshape(4, 4, 1).at[0, 1].set(jnp.nan)
    gradient = jax.grad(lambda x: pooling.max_pool(x, (2, 2), strides).sum())(x)[..., 0]
    # Without NaN the maximum of each window is at its end; windows with (0, 1) are excluded.
    expected = np.zeros((4, 4))
    for i, j in itertools.product(range(0, 3, strides[0]), range(0, 3, strides[1])):
        expected[i + 1, j + 1] += not (i == 0 and j in (0, 1))
    np.testing.assert_array_equal(gradient, expected)
    many = jnp.arange(25.0).reshape(5, 5, 1).at[2, 2].set(jnp.nan)
    assert not jax.grad(lambda x: pooling.max_pool(x, (5, 5)).sum())(many).any()


def gem_in_float64(x, p, epsilon=1e-6):
    """Return the value and the gradients for `x` and `p`, along axis 0."""
    x = np.maximum(np.asarray(x, np.float64), epsilon)
    weights = x**p / (x**p).sum(0)
    y = (x**p).mean(0) ** (1 / p)
    for_p = y * ((weights * np.log(x)).sum(0) / p - np.log((x**p).mean(0)) / p**2)
    return y, y * weights / x, for_p


@pytest.mark.parametrize("p", [1.0, 3.0, 7.0, 20.0, 50.0])
@pytest.mark.parametrize("strides", [4, 2])
def test_gem_matches_float64_for_every_power(p, strides):
    # One window per channel: usual values, zeros, tiny, huge, and both tiny and usual.
    x = np.random.default_rng(0).uniform(0.1, 2, size=(4, 5)) * np.array([1, 0, 1e-4, 1e5, 1])
    x[0, 4] = 1e-5
    x = x.astype(np.float32)

    def pool(channel, p):
        padded = jnp.pad(channel, (0, strides % 4))[:, None]
        return pooling.gem_pool(padded, (4,), strides, p=p)[0, 0]

    apply = jax.vmap(jax.value_and_grad(pool, argnums=(0, 1)), (1, None))
    value, (for_x, for_p) = apply(jnp.asarray(x), jnp.float32(p))
    expected, expected_for_x, expected_for_p = gem_in_float64(x, p)
    np.testing.assert_allclose(value, expected, rtol=2e-6)
    np.testing.assert_allclose(for_x.T, np.where(x > 1e-6, expected_for_x, 0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(for_p, expected_for_p, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("strides", [2, 1])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 100.0, np.inf])
def test_lp_neither_overflows_nor_vanishes(p, strides):
    x = np.array([3.0, -4.0, 0.0])[:, None]
    for scale in (1e-30, 1.0, 1e30):
        values = jnp.asarray(x * scale, jnp.float32)
        y = pooling.lp_pool(values, (2,), strides, p=p)[0, 0]
        assert float(y) == pytest.approx(np.linalg.norm(x[:2, 0], p) * scale, rel=1e-5)
        gradient = jax.grad(lambda x: pooling.lp_pool(x, (2,), strides, p=p)[0, 0])(values)
        expected = np.sign(x) * (np.abs(x) / np.linalg.norm(x[:2, 0], p)) ** min(p - 1, 1e9)
        if p == np.inf:
            expected = np.array([0.0, -1.0, 0.0])[:, None]
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", POOLINGS)
def test_jit_vmap_batches_and_forward_mode_agree(name):
    function, _ = POOLINGS[name]
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2, 6, 6, 2)), jnp.float32)

    def apply(x):
        return function(x, (3, 3), 2, "SAME")

    y = jax.jit(apply)(x)
    single = jnp.stack([jnp.stack([apply(image) for image in row]) for row in x])
    np.testing.assert_allclose(y, single, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(apply)(x), y, rtol=1e-5, atol=1e-6)
    assert apply(x[:0]).shape == (0, 2, 3, 3, 2)
    small = x[0, 0, :4, :4, :1]
    forward, reverse = jax.jacfwd(apply)(small), jax.jacrev(apply)(small)
    np.testing.assert_allclose(forward, reverse, rtol=1e-4, atol=1e-6)


def test_second_derivatives():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 4, 1)), jnp.float32)

    def curved(x):
        return jnp.sum(pooling.max_pool(x, (3, 3), 1) ** 3 + pooling.l2_pool(x, (2, 2), 1)[1:, 1:])

    v = jnp.ones_like(x)
    product = jax.jvp(jax.grad(curved), (x,), (v,))[1]
    step = 1e-2
    numerical = (jax.grad(curved)(x + step * v) - jax.grad(curved)(x - step * v)) / (2 * step)
    np.testing.assert_allclose(product, numerical, rtol=2e-2, atol=2e-2)


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


@pytest.mark.parametrize("strides", [2, 1])
def test_no_gradient_uses_select_and_scatter(strides):
    x = jnp.ones((2, 6, 6, 3))
    for function, _ in POOLINGS.values():
        text = (
            jax.jit(jax.grad(lambda x, f=function: jnp.sum(f(x, (2, 2), strides) ** 2)))
            .lower(x)
            .as_text()
        )
        assert "select_and_scatter" not in text
        assert "reduce_window" not in text


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


# The last two have too many positions to unroll, without and with overlap.
@pytest.mark.parametrize(
    "case",
    [*CASES, ((10, 5), (5, 5), (5, 5), "VALID", (1, 1)), ((7, 6), (5, 5), (2, 1), "SAME", (1, 1))],
    ids=str,
)
def test_stochastic_pool_matches_running_sums(case, key):
    spatial, window, strides, padding, dilation = case
    x = sample(spatial)

    @jax.jit
    def apply(x):
        return pooling.stochastic_pool(x, window, strides, padding, dilation=dilation, key=key)

    y, pullback = jax.vjp(apply, jnp.asarray(x))
    shares = iter(np.moveaxis(np.asarray(jax.random.uniform(key, y.shape)), -1, 1).ravel())

    def drawn(values, inside):
        sums = np.cumsum(np.maximum(values, 0))
        passed = sums > next(shares) * sums[-1]
        gradient = np.eye(len(values))[passed.argmax()] * passed.any()
        return gradient @ values, gradient

    dy = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    expected, dx = reference.pool(x, window, strides, padding, dilation, drawn, dy)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    np.testing.assert_allclose(pullback(jnp.asarray(dy))[0], dx, rtol=1e-5, atol=1e-6)
    forward = jax.jvp(apply, (jnp.asarray(x),), (jnp.asarray(x),))[1]
    np.testing.assert_allclose(forward, y, rtol=1e-6)  # it is linear in the value drawn


@pytest.mark.parametrize("strides", [4, 2])
def test_stochastic_pool_draws_proportionally(strides, key):
    x = jnp.array([1.0, 3.0, 0.0, -2.0] * 1000).reshape(1000, 4, 1)
    drawn = pooling.stochastic_pool(jnp.pad(x, ((0, 0), (0, 2), (0, 0))), (4,), strides, key=key)
    drawn = drawn[:, 0, 0]
    assert set(drawn.tolist()) == {1.0, 3.0}
    assert abs(float(jnp.mean(jnp.where(drawn == 3.0, 1.0, 0.0))) - 0.75) < 0.05
    assert not (pooling.stochastic_pool(-jnp.abs(x), (4,), strides, key=key)).any()
    with pytest.raises(ValueError, match="pass key="):
        pooling.stochastic_pool(x, (4,))


@pytest.mark.parametrize("size", [2, 5])  # 25 positions are not unrolled
@pytest.mark.parametrize("strides", [None, 1])
@pytest.mark.parametrize("deterministic", [True, False])
def test_stochastic_pool_at_zeros_nan_and_infinity(size, strides, deterministic, key):
    @jax.jit
    def pool(x):
        return pooling.stochastic_pool(
            x, (size, size), strides, deterministic=deterministic, key=key
        )[0, 0, 0]

    zeros = jnp.zeros((size, size, 1))
    value, gradient = jax.value_and_grad(pool)(zeros)
    assert value == 0
    assert not gradient.any()
    mixed = jnp.ones((size, size, 1)).at[1, 0].set(-jnp.inf)
    assert float(pool(mixed)) == pytest.approx(1, rel=1e-6)
    value, gradient = jax.value_and_grad(pool)(mixed.at[1, 1].set(jnp.nan))
    assert jnp.isnan(value)
    assert deterministic or not gradient.any()
    assert not jnp.isfinite(pool(mixed.at[1, 1].set(jnp.inf)))
    tiny = pool(jnp.full((size, size, 1), 1e-30))
    assert float(tiny) == pytest.approx(1e-30, rel=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_stochastic_pool_draws_the_same_in_half_precision(dtype, key):
    x = jnp.asarray(sample((9, 9))).astype(dtype)
    y = pooling.stochastic_pool(x, (3, 3), 2, "SAME", key=key)
    assert y.dtype == dtype
    exact = pooling.stochastic_pool(x.astype(jnp.float32), (3, 3), 2, "SAME", key=key)
    np.testing.assert_array_equal(y.astype(jnp.float32), exact)


def test_stochastic_pool_under_transformations(key):
    x = jnp.asarray(sample((6, 6)))
    keys = jax.random.split(key, 3)

    def pool(x, key, strides):
        return pooling.stochastic_pool(x, (3, 3), strides, key=key)

    for strides in (3, 2):
        separate = jnp.stack([pool(x, single, strides) for single in keys])
        together = jax.jit(jax.vmap(pool, (None, 0, None)), static_argnums=2)(x, keys, strides)
        np.testing.assert_array_equal(separate, together)
        assert (separate[0] != separate[1]).any()
        text = (
            jax.jit(jax.grad(lambda x, s=strides: jnp.sum(pool(x, key, s) ** 2))).lower(x).as_text()
        )
        assert not any(word in text for word in ("gather", "scatter", "reduce_window", "sort"))


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window_shape": (0, 2)}, "expected 1 to 3 positive sizes"),
        ({"window_shape": (2, 2), "strides": (1, 2, 3)}, r"strides=\(1, 2, 3\)"),
        ({"window_shape": (2, 2), "padding": "FULL"}, "expected 'SAME', 'VALID'"),
        ({"window_shape": (2, 2), "padding": ((2, 0), (0, 0))}, "only padding"),
        ({"window_shape": (9, 9)}, "use a smaller window"),
        ({"window_shape": (2, 2, 2)}, "add the missing axes"),
        ({"window_shape": 0}, r"window_shape=\(0,\); expected .* such as \(2, 2\)"),
        ({"window_shape": 1.5}, r"window_shape=1.5; expected .* such as \(2, 2\)"),
        ({"window_shape": (2, 1.5)}, r"window_shape=\(2, 1.5\); expected .* such as \(2, 2\)"),
        ({"window_shape": (2, 2), "strides": 1.5}, "strides=1.5; expected a positive integer"),
        ({"window_shape": (2, 2), "padding": -1}, r"padding=-1; expected .* \(low, high\) pairs"),
        ({"window_shape": (2, 2), "padding": ((1,), (1, 1))}, r"2 \(low, high\) pairs"),
        ({"window_shape": (2, 2), "padding": ((1.5, 1), (1, 1))}, r"2 \(low, high\) pairs"),
        ({"window_shape": (2, 2), "padding": (1, 1)}, r"2 \(low, high\) pairs"),
    ],
)
def test_errors_say_what_to_change(arguments, message, unchecked_types):
    with pytest.raises(ValueError, match=message):
        pooling.max_pool(jnp.ones((4, 4, 1)), **arguments)


def test_other_sizes_are_checked_too(unchecked_types):
    x = jnp.ones((4, 4, 1))
    for call, name in (
        (lambda: pooling.adaptive_max_pool(x, 1.5), "output_shape=1.5"),
        (lambda: pooling.adaptive_avg_pool(x, (0, 2)), r"output_shape=\(0, 2\)"),
        (lambda: pooling.blur_pool(x, (0, 2)), r"strides=\(0, 2\)"),
        (lambda: pooling.gaussian_weights(2), "window_shape=2"),
    ):
        with pytest.raises(ValueError, match=f"{name}; expected 1 to 3 positive sizes"):
            call()
    with pytest.raises(ValueError, match="add the missing axes"):
        pooling.adaptive_avg_pool(x[0], (2, 2))


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


@pytest.mark.parametrize("name", POOLINGS)
def test_numpy_integers_are_accepted(name, unchecked_types):
    function, _ = POOLINGS[name]
    x = jnp.asarray(sample((5, 5)))
    two, one = np.int64(2), np.int64(1)
    y = function(x, np.array([2, 2]), two, ((one, one), (0, one)), dilation=[one, one])
    np.testing.assert_array_equal(y, function(x, (2, 2), 2, ((1, 1), (0, 1)), dilation=1))


@pytest.mark.parametrize(
    ("function", "dtype", "message"),
    [
        (pooling.max_pool, bool, "x is bool; expected a real dtype: cast with .astype"),
        (pooling.max_pool, jnp.complex64, "x is complex64; expected a real dtype"),
        (pooling.adaptive_max_pool, bool, "x is bool; expected a real dtype"),
        (pooling.mixed_pool, bool, "x is bool; expected a floating dtype: cast with .astype"),
        (pooling.mixed_pool, jnp.complex64, "x is complex64; expected a floating dtype"),
        (pooling.adaptive_avg_pool, jnp.int32, "x is int32; expected a floating dtype"),
        (pooling.soft_pool, jnp.int32, "x is int32; expected a floating dtype"),
        (pooling.avg_pool, jnp.int32, "x is int32; expected a floating dtype"),
    ],
)
def test_dtypes_that_cannot_be_pooled(function, dtype, message):
    with pytest.raises(TypeError, match=message):
        function(jnp.ones((4, 4, 1), dtype), (2, 2))


def test_lp_requires_p_of_at_least_1():
    with pytest.raises(ValueError, match="expected 1 or more"):
        pooling.lp_pool(jnp.ones((4, 4, 1)), (2, 2), p=0.5)


@pytest.mark.parametrize("case", [CASES[1], CASES[6], CASES[7]], ids=str)
def test_learned_weights_map_and_differentiate_twice(case):
    """Overlapping windows: vmap over weights outside and inside gradients, and both modes."""
    spatial, window, strides, padding, dilation = case
    x = jnp.asarray(sample(spatial))
    weights = jax.random.normal(jax.random.key(0), (3, *window, 2))

    def loss(weights, x):
        y = pooling.weighted_avg_pool(
            x, window, strides, padding, weights=weights, dilation=dilation
        )
        return jnp.sum(jnp.sin(y))

    each = [jax.grad(loss, (0, 1))(w, x) for w in weights]
    mapped = jax.vmap(jax.grad(loss, (0, 1)), (0, None))(weights, x)
    for i, (dw, dx) in enumerate(each):
        np.testing.assert_allclose(mapped[0][i], dw, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(mapped[1][i], dx, rtol=1e-5, atol=1e-5)
    below = jax.grad(lambda w: jnp.sum(jax.vmap(loss, (0, None))(w, x)))(weights)
    np.testing.assert_allclose(below, mapped[0], rtol=1e-5, atol=1e-5)
    over = jax.vmap(jax.grad(loss), (None, 0))(weights[0], jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(over[0], each[0][0], rtol=1e-5, atol=1e-5)

    def slope(weights):
        return jnp.sum(jax.grad(loss, 1)(weights, x) * jnp.cos(x))

    direction = jnp.ones_like(weights[0])
    step = 1e-2
    numeric = (slope(weights[0] + step * direction) - slope(weights[0] - step * direction)) / (
        2 * step
    )
    np.testing.assert_allclose(
        jax.jvp(slope, (weights[0],), (direction,))[1], numeric, rtol=2e-2, atol=2e-2
    )
    np.testing.assert_allclose(jnp.sum(jax.grad(slope)(weights[0])), numeric, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", ["max", "avg", "weighted_avg"])
def test_overlapping_windows_under_shard_map(name):
    """With the check of varying axes, for an input that varies over the mesh."""
    mesh = jax.make_mesh((1,), ("device",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("device")
    x = jnp.asarray(sample((7, 7)))

    def slopes(x):
        return jax.grad(lambda x: jnp.sum(POOLINGS[name][0](x, (3, 3), 2) ** 2))(x)

    sharded = jax.jit(jax.shard_map(slopes, mesh=mesh, in_specs=spec, out_specs=spec))
    np.testing.assert_allclose(sharded(x), slopes(x), rtol=1e-5, atol=1e-6)
