"""Normalization against Flax's modules and plain NumPy."""

from functools import partial

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
        (affine(nnx.BatchNorm(8, rngs=rngs)), normalization.batch_norm(X, None, None, scale, bias)),
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


def plainly(x, axes, groups=None, epsilon=1e-6):
    """Normalization as the formula has it, for JAX to differentiate."""
    split = x if groups is None else x.reshape(*x.shape[:-1], groups, -1)
    axes = axes if groups is None else (*axes, x.ndim)
    centered = split - split.mean(axes, keepdims=True)
    variance = jnp.square(centered).mean(axes, keepdims=True)
    return (centered / jnp.sqrt(variance + epsilon)).reshape(x.shape)


STANDARDIZED = {
    "batch": (lambda x: normalization.batch_norm(x, epsilon=1e-6), ((0, 1, 2),)),
    "layer": (normalization.layer_norm, ((3,),)),
    "instance": (normalization.instance_norm, ((1, 2),)),
    "group": (partial(normalization.group_norm, num_groups=2), ((1, 2), 2)),
    "one group": (partial(normalization.group_norm, num_groups=1, spatial_ndim=1), ((2,), 1)),
}


@pytest.mark.parametrize("name", STANDARDIZED)
def test_derivatives_are_those_of_the_formula(name):
    function, form = STANDARDIZED[name]
    weights, direction = (
        jnp.asarray(np.random.default_rng(i).normal(size=X.shape), jnp.float32) for i in (1, 2)
    )

    def everything(function):
        def loss(x):
            return jnp.sum(weights * function(x) ** 3)

        gradient = jax.grad(loss)
        return (
            function(X),
            gradient(X),
            jax.jvp(function, (X,), (direction,))[1],
            jax.jvp(gradient, (X,), (direction,))[1],
            jax.grad(lambda x: jnp.vdot(gradient(x), direction))(X),
            jax.vmap(gradient)(jnp.stack([X, X + direction])),
        )

    ours, plain = everything(function), everything(lambda x: plainly(x, *form))
    for mine, expected in zip(ours, plain, strict=True):
        scale = float(jnp.abs(expected).max())
        np.testing.assert_allclose(mine, expected, atol=1e-5 * scale)


def test_mean_and_variance_go_together():
    mean, variance = normalization.moments(X, (0, 1, 2))
    for one in ({"mean": mean}, {"variance": variance}):
        with pytest.raises(ValueError, match="pass mean and variance, or neither"):
            normalization.batch_norm(X, **one)


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
