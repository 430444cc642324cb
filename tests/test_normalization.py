"""Normalization against Flax's modules and plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import normalization

X = jnp.asarray(np.random.default_rng(0).normal(3, 2, size=(4, 5, 5, 8)), jnp.float32)


def affine(module):
    module.scale[...] = jnp.linspace(0.5, 2, 8)
    if getattr(module, "bias", None) is not None:
        module.bias[...] = jnp.linspace(-1, 1, 8)
    return module


def test_functions_match_flax():
    rngs = nnx.Rngs(0)
    scale, bias = jnp.linspace(0.5, 2, 8), jnp.linspace(-1, 1, 8)
    pairs = [
        (affine(nnx.LayerNorm(8, rngs=rngs)), normalization.layer_norm(X, scale, bias)),
        (affine(nnx.RMSNorm(8, rngs=rngs)), normalization.rms_norm(X, scale)),
        (
            affine(nnx.GroupNorm(8, 4, rngs=rngs)),
            normalization.group_norm(X, scale, bias, num_groups=4),
        ),
        (affine(nnx.InstanceNorm(8, rngs=rngs)), normalization.instance_norm(X, scale, bias)),
        (
            affine(nnx.BatchNorm(8, rngs=rngs)),
            normalization.batch_norm(X, *normalization.moments(X, (0, 1, 2)), scale, bias),
        ),
    ]
    for module, ours in pairs:
        np.testing.assert_allclose(module(X), ours, rtol=1e-3, atol=1e-3)


def test_statistics_match_numpy():
    x = np.asarray(X, np.float64)
    mean, variance = normalization.moments(X, (0, 1, 2))
    np.testing.assert_allclose(mean.ravel(), x.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(variance.ravel(), x.var((0, 1, 2)), rtol=1e-4)
    y = np.asarray(normalization.group_norm(X, num_groups=2), np.float64).reshape(4, 25, 2, 4)
    np.testing.assert_allclose(y.mean((1, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((1, 3)), 1, rtol=1e-4)
    single = normalization.group_norm(X[0], num_groups=2)
    np.testing.assert_allclose(
        normalization.group_norm(X, num_groups=2)[0], single, rtol=1e-4, atol=1e-5
    )


def test_kernels_are_standardized_per_output_channel():
    kernel = jnp.asarray(np.random.default_rng(0).normal(2, 3, size=(3, 3, 4, 6)), jnp.float32)
    y = np.asarray(normalization.standardize_kernel(kernel))
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, rtol=1e-3)


def test_constant_inputs_and_half_precision():
    flat = jnp.full((2, 4, 4, 8), 7.0)
    grad = jax.grad(lambda x: jnp.sum(normalization.instance_norm(x) ** 2))(flat)
    assert jnp.isfinite(grad).all()
    half = normalization.layer_norm(X.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16


def test_a_large_mean_does_not_cancel():
    x = X + 1e4
    assert float(normalization.moments(x, (0, 1, 2))[1].min()) > 3.0


CALLS = {
    "batch": lambda x, *p: normalization.batch_norm(x, jnp.zeros(8), jnp.ones(8), *p),
    "layer": normalization.layer_norm,
    "group": lambda x, *p: normalization.group_norm(x, *p, num_groups=2, spatial_ndim=0),
    "instance": lambda x, *p: normalization.instance_norm(x, *p, spatial_ndim=1),
    "rms": normalization.rms_norm,
}


@pytest.mark.parametrize("name", CALLS)
def test_errors(name):
    call = CALLS[name]
    with pytest.raises(TypeError, match="x is int32; expected a floating dtype: cast with .astype"):
        call(X.astype(jnp.int32))
    for shape in ((), (1,), (5,), (1, 8), (1, 1, 1, 8), (1, 1, 1, 1, 8)):
        with pytest.raises(ValueError, match="scale has shape .* one number per channel"):
            call(X, jnp.ones(shape))
        if name != "rms":
            with pytest.raises(ValueError, match="bias has shape .* one number per channel"):
                call(X, jnp.ones(8), jnp.ones(shape))
    with pytest.raises(ValueError, match="x is a scalar"):
        call(jnp.float32(1))


def test_moments_have_one_value_per_channel():
    mean, variance = normalization.moments(X, (0, 1, 2))
    kept = normalization.batch_norm(X, mean, variance)
    np.testing.assert_array_equal(normalization.batch_norm(X, mean.ravel(), variance.ravel()), kept)
    for shape in ((), (5,), (1, 8), (1, 1, 1, 1), (1, 1, 1, 1, 8)):
        with pytest.raises(ValueError, match="mean has shape"):
            normalization.batch_norm(X, jnp.ones(shape), variance)
        with pytest.raises(ValueError, match="variance has shape"):
            normalization.batch_norm(X, mean, jnp.ones(shape))


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="divisor of the 8 channels"):
        normalization.group_norm(X, num_groups=3)
    with pytest.raises(TypeError, match="kernel is int32"):
        normalization.standardize_kernel(jnp.ones((3, 4), jnp.int32))
