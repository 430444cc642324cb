"""Every convolution and pooling, and its gradients, with `jax.disable_jit()` and without."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import convolution, pooling
from tests.slow import short_first

X = jnp.asarray(np.random.default_rng(0).standard_normal((2, 7, 6, 4)), jnp.float32)


def kernel(*shape):
    return jnp.asarray(np.random.default_rng(1).standard_normal(shape), jnp.float32)


KEY = jax.random.key(0)
WINDOWS = {
    "overlapping": ((3, 3), 2, "SAME"),
    "tiled": ((2, 2), 2, "VALID"),
    "padded": ((2, 2), 1, 1),
}
POOLS = {
    "sum": pooling.sum_pool,
    "avg": pooling.avg_pool,
    "avg of what is not padding": lambda *a: pooling.avg_pool(*a, count_include_pad=False),
    "max": pooling.max_pool,
    "l2": pooling.l2_pool,
    "lp": lambda *a: pooling.lp_pool(*a, p=3.0),
    "linf": lambda *a: pooling.lp_pool(*a, p=float("inf")),
    "weighted": pooling.weighted_avg_pool,
    "gem": pooling.gem_pool,
    "mixed": lambda *a: pooling.mixed_pool(*a, alpha=0.3),
    "soft": pooling.soft_pool,
    "stochastic": lambda *a: pooling.stochastic_pool(*a, key=KEY),
    "stochastic in evaluation": lambda *a: pooling.stochastic_pool(*a, deterministic=True),
}
CASES = {
    "conv": lambda x: convolution.conv(x, kernel(3, 3, 4, 2)),
    "strided conv": lambda x: convolution.conv(x, kernel(3, 3, 4, 2), strides=2, padding="VALID"),
    "dilated conv": lambda x: convolution.conv(x, kernel(2, 2, 4, 2), kernel_dilation=2),
    "grouped conv": lambda x: convolution.conv(x, kernel(3, 3, 2, 4), feature_group_count=2),
    "circular conv": lambda x: convolution.conv(x, kernel(3, 3, 4, 2), padding="CIRCULAR"),
    "conv 1d": lambda x: convolution.conv(x, kernel(3, 4, 2)),
    "gradient of the kernel": lambda x: jax.grad(lambda k: jnp.mean(convolution.conv(x, k) ** 2))(
        kernel(3, 3, 4, 2)
    ),
    "conv by vmap": jax.vmap(lambda x: convolution.conv(x, kernel(3, 3, 4, 2))),
    "max pool": lambda x: pooling.max_pool(x, 3, 2),
    "average pool": lambda x: pooling.avg_pool(x, 2),
    "blur": lambda x: pooling.blur_pool(x, 2),
    "adaptive avg": lambda x: pooling.adaptive_avg_pool(x, 3),
    "adaptive max": lambda x: pooling.adaptive_max_pool(x, 3),
    "global avg": pooling.global_avg_pool,
    "global max": pooling.global_max_pool,
    "global l2": pooling.global_l2_pool,
} | {
    f"{name} pool, {how}": lambda x, pool=pool, window=window: pool(x, *window)
    for name, pool in POOLS.items()
    for how, window in WINDOWS.items()
}


def test_every_pooling_is_here():
    tested = {name.partition(" ")[0] for name in POOLS} | {"blur", "adaptive", "global"}
    for name in dir(pooling):
        if name.endswith("_pool"):
            assert name.partition("_")[0] in tested


@pytest.mark.parametrize("name", short_first(CASES, short=10))
def test_values_and_gradients_are_the_same(name):
    function = CASES[name]

    def everything(x):
        y, back = jax.vjp(function, x)
        _, tangent = jax.jvp(function, (x,), (jnp.sin(x),))
        return y, back(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)), tangent

    with jax.disable_jit():
        without = everything(X)
    for got, want in zip(without, jax.jit(everything)(X), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
