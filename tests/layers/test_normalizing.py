"""Normalizing layers against Flax's own with exact variances: values, gradients and statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import layers

SHAPE = (4, 5, 3, 8)
MASK = jnp.asarray(np.random.default_rng(3).random((4, 5, 3, 1)) < 0.7)
# Flax's module, options of both, and options of the call.
CASES = {
    "batch": ("BatchNorm", {}, {}),
    "batch, running": ("BatchNorm", {}, {"use_running_average": True}),
    "batch, momentum": ("BatchNorm", {"momentum": 0.5, "epsilon": 1e-2}, {}),
    "batch, first axis": ("BatchNorm", {"axis": 2, "num_features": 3}, {}),
    "batch, mask": ("BatchNorm", {}, {"mask": MASK}),
    "batch, neither": ("BatchNorm", {"use_scale": False, "use_bias": False}, {}),
    "layer": ("LayerNorm", {"epsilon": 1e-3}, {}),
    "layer, axes": ("LayerNorm", {"reduction_axes": (1, 2, 3)}, {}),
    "layer, dtype": ("LayerNorm", {"dtype": jnp.bfloat16}, {}),
    "layer, no bias": ("LayerNorm", {"use_bias": False}, {}),
    "group": ("GroupNorm", {"num_groups": 4}, {}),
    "group, size": ("GroupNorm", {"num_groups": None, "group_size": 4}, {}),
    "group, axes": ("GroupNorm", {"num_groups": 2, "reduction_axes": (2, 3)}, {}),
    "group, mask": ("GroupNorm", {"num_groups": 2}, {"mask": jnp.broadcast_to(MASK, SHAPE)}),
    "instance": ("InstanceNorm", {}, {}),
    "rms": ("RMSNorm", {}, {}),
}


@pytest.fixture(autouse=True)
def promotion():
    """Flax's layers promote dtypes and ranks."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("case", CASES)
def test_equals_flax(case):
    name, options, call = CASES[case]
    options = {"num_features": 8} | options
    x = jnp.asarray(np.random.default_rng(0).normal(2, 3, SHAPE), jnp.float32)
    weights = jnp.asarray(np.random.default_rng(1).normal(size=SHAPE), jnp.float32)

    def everything(module):
        features = options["num_features"]
        for k, (_, param) in enumerate(nnx.to_flat_state(nnx.state(module, nnx.Param))):
            param[...] = jnp.linspace(-1, 2 + k, features)
        graph, params, rest = nnx.split(module, nnx.Param, ...)

        def loss(params, x):
            module = nnx.merge(graph, params, rest, copy=True)
            y = module(x, **call)
            return jnp.sum(weights * y), (y, nnx.state(module, nnx.BatchStat))

        gradients, (y, statistics) = jax.grad(loss, (0, 1), has_aux=True)(params, x)
        return jax.tree.leaves((y, gradients, statistics))

    theirs = everything(getattr(nnx, name)(**options, use_fast_variance=False, rngs=nnx.Rngs(0)))
    ours = everything(getattr(layers, name)(**options, rngs=nnx.Rngs(0)))
    tolerance = 2e-2 if "dtype" in options else 2e-5
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            np.asarray(mine, np.float32),
            np.asarray(other, np.float32),
            rtol=tolerance,
            atol=tolerance,
        )


def test_batch_statistics_over_several_devices():
    """`axis_name` still averages over the axis."""
    layer = layers.BatchNorm(8, axis_name="devices", rngs=nnx.Rngs(0))
    graph, state = nnx.split(layer)
    x = jnp.asarray(np.random.default_rng(0).normal(2, 3, (2, *SHAPE)), jnp.float32)

    def normalize(x):
        module = nnx.merge(graph, state, copy=True)
        return module(x)

    apart = jax.vmap(normalize, axis_name="devices")(x)
    together = layers.BatchNorm(8, rngs=nnx.Rngs(0))(x.reshape(-1, *SHAPE[1:]))
    np.testing.assert_allclose(apart.reshape(together.shape), together, atol=1e-5)


def test_the_mode_of_batch_norm_must_be_chosen():
    layer = layers.BatchNorm(8, use_running_average=None, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="use_running_average"):
        layer(jnp.ones(SHAPE))
    assert layer(jnp.ones(SHAPE), True).shape == SHAPE  # positionally, as in Flax
