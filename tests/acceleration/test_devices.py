"""Gradients under `shard_map` over two devices, in a process that has them."""

import os
import subprocess
import sys

SCRIPT = """
import jax, jax.numpy as jnp, numpy as np
from jax import lax
from jax.sharding import AxisType, PartitionSpec as P
from jcnn import accelerate, pooling
from jcnn.convolution import conv, conv_general_dilated

mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
NUMBERS = ("NHWC", "HWIO", "NHWC")

def plain_conv(x, w):
    return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=NUMBERS)

def plain_pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")

def plain_large(x):
    return lax.reduce_window(x, 0.0, lax.add, (1, 5, 5, 1), (1, 1, 1, 1), "SAME")

def of(body):
    def loss(w, x):
        return lax.psum(body(w, x).sum(), "batch")
    return jax.shard_map(loss, mesh=mesh, in_specs=(P(), P("batch")), out_specs=P())

def inside(wrap):
    def loss(w, x):
        return jax.grad(wrap(lambda w: (plain_conv(x, w) ** 2).sum()))(w)
    f = jax.shard_map(loss, mesh=mesh, in_specs=(P(), P("batch")), out_specs=P())
    return f

for channels, out, size in ((2, 3, 6), (1, 4, 8), (8, 16, 16)):
    x = jax.random.normal(jax.random.key(0), (4, size, size, channels))
    w = jax.random.normal(jax.random.key(1), (3, 3, channels, out)) / 4
    def body(conv):
        return lambda w, x: jnp.sin(conv(x, w)) ** 2
    def pooled(w, x):
        return jnp.sin(plain_large(plain_pool(plain_conv(x, w))))
    expected = jax.grad(of(body(plain_conv)), argnums=(0, 1))(w, x)
    sides = {
        "accelerate": accelerate(of(body(plain_conv))),
        "in it": of(accelerate(body(plain_conv))),
        "conv": of(body(conv)),
        "general": of(body(lambda x, w: conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=NUMBERS))),
    }
    for name, function in sides.items():
        found = jax.jit(jax.grad(function, argnums=(0, 1)))(w, x)
        for a, b in zip(found, expected):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3, err_msg=name)
    expected = jax.grad(of(pooled), argnums=(0, 1))(w, x)
    found = jax.jit(jax.grad(accelerate(of(pooled)), argnums=(0, 1)))(w, x)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3, err_msg="pooling")
    np.testing.assert_allclose(
        inside(accelerate)(w, x), inside(lambda f: f)(w, x), rtol=1e-3, atol=1e-3)

# What follows an explicit sharding is left alone.
mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Explicit,))
with jax.set_mesh(mesh):
    x = jax.device_put(x, jax.NamedSharding(mesh, P("batch")))
    def loss(w, x):
        return (jnp.sin(plain_pool(plain_conv(x, w))) ** 2).sum()
    np.testing.assert_allclose(accelerate(loss)(w, x), loss(w, x), rtol=1e-4)
print("equal")
"""


def test_two_devices():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "equal\n", done.stderr[-3000:]
