"""Networks of other libraries have the values and derivatives of the plain function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import accelerate
from tests.acceleration.networks import FUNCTIONS, IMAGES, NETWORKS, pure

pytestmark = pytest.mark.usefixtures("promotion")


def everything(function, params, x):
    """Value, gradients, a Hessian-vector product and a derivative forwards, as one program."""

    def loss(params, x):
        y = function(params, x)
        return jnp.sum(jnp.sin(y) * jnp.arange(1.0, y.size + 1).reshape(y.shape) / y.size)

    arrays, rest = partition(params)

    def of_arrays(arrays, x):
        return loss(joined(arrays, rest), x)

    def all_of_them(arrays, x):
        value, gradients = jax.value_and_grad(of_arrays, argnums=(0, 1))(arrays, x)
        direction = jax.tree.map(jnp.cos, (arrays, x))
        forward = jax.jvp(of_arrays, (arrays, x), direction)[1]
        gradient = jax.grad(of_arrays, argnums=(0, 1))
        return value, gradients, forward, jax.jvp(gradient, (arrays, x), direction)[1]

    return jax.jit(all_of_them)(arrays, x)


def partition(tree):
    leaves, structure = jax.tree.flatten(tree)
    is_array = [isinstance(leaf, jax.Array) for leaf in leaves]
    arrays = [leaf for leaf, array in zip(leaves, is_array, strict=True) if array]
    return arrays, (leaves, structure, is_array)


def joined(arrays, rest):
    leaves, structure, is_array = rest
    values = iter(arrays)
    return jax.tree.unflatten(
        structure,
        [next(values) if array else leaf for leaf, array in zip(leaves, is_array, strict=True)],
    )


def assert_equal(found, expected):
    """Equal up to rounding: relative to the largest of a kind of derivative."""
    for a, b in zip(found, expected, strict=True):
        assert jax.tree.structure(a) == jax.tree.structure(b)
        scale = max(float(jnp.max(jnp.abs(leaf), initial=0.0)) for leaf in jax.tree.leaves(b))
        assert scale > 1e-3
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_allclose(x / scale, y / scale, atol=3e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_flax_nnx(name):
    function, params, x = pure(name)
    text = str(jax.make_jaxpr(accelerate(function))(params, x))
    assert "jcnn_conv" in text
    assert "conv_general_dilated" not in text
    assert "reduce_window" not in text
    assert_equal(everything(accelerate(function), params, x), everything(function, params, x))


@pytest.mark.parametrize("library", FUNCTIONS)
def test_other_libraries(library):
    pytest.importorskip(library if library != "linen" else "flax")
    function, params = FUNCTIONS[library]()
    x = jax.random.normal(jax.random.key(1), IMAGES)
    text = str(jax.make_jaxpr(lambda x: accelerate(function)(params, x))(x))
    assert "jcnn_conv" in text
    assert "conv_general_dilated" not in text
    assert "reduce_window" not in text
    assert_equal(everything(accelerate(function), params, x), everything(function, params, x))
