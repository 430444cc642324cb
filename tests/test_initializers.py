"""Initializers by their properties: variance, bounds, orthogonality, structure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import initializers, names

SHAPE = (3, 3, 40, 80)
FAN_IN, FAN_OUT = 9 * 40, 9 * 80
VARIANCES = {
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "glorot_truncated_normal": 2 / (FAN_IN + FAN_OUT),
    "xavier_normal": 2 / (FAN_IN + FAN_OUT),
    "xavier_uniform": 2 / (FAN_IN + FAN_OUT),
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "he_truncated_normal": 2 / FAN_IN,
    "kaiming_normal": 2 / FAN_IN,
    "kaiming_uniform": 2 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "lecun_truncated_normal": 1 / FAN_IN,
    "standard_uniform": 1 / (3 * FAN_IN),
    "normal:0.3": 0.09,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_variance(name, key):
    values = names.lookup("kernel_init", name)(key, SHAPE, jnp.float32)
    assert values.dtype == jnp.float32
    assert float(jnp.var(values)) == pytest.approx(VARIANCES[name], rel=0.03)
    assert abs(float(jnp.mean(values))) < 0.02 * VARIANCES[name] ** 0.5
    kurtosis = float(jnp.mean(values**4)) / VARIANCES[name] ** 2
    expected = 1.8 if "uniform" in name else 3.0 if "truncated" not in name else 2.4
    assert kurtosis == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("shape", [(20, 12), (12, 20), (3, 3, 4, 8)])
def test_orthogonal(shape, key):
    kernel = initializers.orthogonal(2.0)(key, shape, jnp.float32)
    matrix = np.asarray(kernel.reshape(-1, shape[-1]))
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, 4 * np.eye(matrix.shape[1]), atol=1e-4)


def test_delta_orthogonal_keeps_norms(key):
    kernel = np.asarray(initializers.delta_orthogonal()(key, (3, 3, 4, 6), jnp.float32))
    assert np.count_nonzero(np.abs(kernel).sum((2, 3))) == 1
    np.testing.assert_allclose(kernel[1, 1] @ kernel[1, 1].T, np.eye(4), atol=1e-5)
    with pytest.raises(ValueError, match="in <= out"):
        initializers.delta_orthogonal()(key, (3, 3, 6, 4), jnp.float32)


def test_dirac_is_the_identity(key):
    from jcnn.convolution import conv

    x = jax.random.normal(key, (1, 5, 5, 3))
    kernel = initializers.dirac(key, (3, 3, 3, 3), jnp.float32)
    np.testing.assert_allclose(conv(x, kernel), x, atol=1e-6)


def test_gain_is_sqrt_two_for_relu_and_keeps_the_second_moment(key):
    assert initializers.gain(jax.nn.relu) == pytest.approx(2**0.5, rel=1e-3)
    kernel = initializers.scaled(initializers.lecun_normal, initializers.gain(jnp.tanh))
    z = jnp.tanh(jax.random.normal(key, (500, 300))) @ kernel(key, (300, 300), jnp.float32)
    assert float(jnp.mean(z**2)) == pytest.approx(1, rel=0.05)


def test_seeds_may_be_mapped(key):
    keys = jax.random.split(key, 3)
    many = jax.vmap(lambda k: initializers.he_normal(k, (4, 5), jnp.float32))(keys)
    np.testing.assert_allclose(
        many[1], initializers.he_normal(keys[1], (4, 5), jnp.float32), rtol=1e-6
    )


def test_lsuv_gives_each_layer_unit_variance(key):
    x = 5 * jax.random.normal(key, (64, 10))
    kernels = [initializers.orthogonal()(key, shape, jnp.float32) for shape in ((10, 30), (30, 20))]

    def preactivations(kernels):
        first = x @ kernels[0]
        return [first, jnp.tanh(first) @ kernels[1]]

    scaled = initializers.lsuv(preactivations, kernels)
    for value in preactivations(scaled):
        assert float(jnp.std(value)) == pytest.approx(1, abs=0.05)
    with pytest.raises(ValueError, match="layer 1 has standard deviation 0"):
        initializers.lsuv(preactivations, [kernels[0], jnp.zeros((30, 20))])


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("make", [initializers.orthogonal, initializers.delta_orthogonal])
def test_orthogonal_in_half_precision_is_float32_s_cast(make, dtype, key):
    for shape in ((4, 6), (3, 3, 4, 6)):
        half = make(2.0)(key, shape, dtype)
        assert half.dtype == dtype
        exact = make(2.0)(key, shape, jnp.float32).astype(dtype)
        np.testing.assert_array_equal(half.astype(jnp.float32), exact.astype(jnp.float32))


@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (3, 0, 4)])
@pytest.mark.parametrize(
    "init",
    [
        initializers.he_normal,
        initializers.glorot_normal,
        initializers.dirac,
        initializers.orthogonal(),
        initializers.delta_orthogonal(),
    ],
)
def test_what_is_no_kernel_is_refused(init, shape, key):
    with pytest.raises(ValueError, match=r"has no fans; expected \(\*window, in, out\)"):
        init(key, shape)
