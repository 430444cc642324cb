"""What LSUV leaves alone, what it refuses, and kernels that it scales together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import initializers, layers
from jcnn.diagnosis import lsuv
from tests.diagnosis.batch import images

LSUV = initializers.lsuv_orthogonal()


class Fixed(nnx.Module):
    """A dense layer whose kernel is not trained."""

    def __init__(self, *, rngs):
        self.kernel = nnx.Variable(4 * jax.random.normal(rngs(), (4, 4)))

    def __call__(self, x):
        return x @ self.kernel[...]


class Unused(nnx.Module):
    """A layer that does not use its kernel."""

    def __init__(self, *, rngs):
        self.kernel = nnx.Param(LSUV(rngs(), (4, 4)))

    def __call__(self, x):
        return x + 1


def test_what_does_not_change():
    rngs = nnx.Rngs(0)
    model = layers.Sequential(
        fixed=Fixed(rngs=rngs),
        pool=layers.Pool(layers.learned_weighted_avg_pool, (2, 2)),
        unused=Unused(rngs=rngs),
        nothing=layers.Dense(4, 4, kernel_init=initializers.zeros, rngs=rngs),
        same=layers.Dense(4, 1, bias_init=initializers.ones, kernel_init=LSUV, rngs=rngs),
    )
    scaled = lsuv(model, images(8, 4, 4, 4))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(model), nnx.state(scaled))
    # Outputs that are equal up to rounding, and outputs that are not finite.
    one = layers.Dense(3, 1, kernel_init=LSUV, rngs=rngs)
    for x in (jnp.full((1000, 3), 0.1), images(8, 3).at[0].set(jnp.nan)):
        np.testing.assert_array_equal(lsuv(one, x).kernel[...], one.kernel[...])


class Product(nnx.Module):
    def __init__(self, *, rngs):
        self.one, self.other = (nnx.Param(LSUV(rngs(), (4, 4))) for _ in range(2))

    def __call__(self, x):
        return x @ self.one[...] @ self.other[...]


class Weighted(nnx.Module):
    """Weight normalization: the kernel's size does not matter."""

    def __init__(self, *, rngs):
        self.kernel = nnx.Param(LSUV(rngs(), (4, 4)))

    def __call__(self, x):
        return x @ (self.kernel[...] / jnp.linalg.norm(self.kernel[...]))


class Sum(nnx.Module):
    def __init__(self, *, rngs):
        self.one, self.other = (nnx.Param(LSUV(rngs(), (4, 4))) for _ in range(2))

    def __call__(self, x):
        return x @ self.one[...] + jnp.tanh(x) @ self.other[...]


class Looped(nnx.Module):
    def __init__(self, *, rngs):
        self.first = layers.Dense(4, 4, rngs=rngs)
        self.layer = layers.Dense(4, 4, rngs=rngs)

    def __call__(self, x):
        graph, state = nnx.split(self.layer)
        return jax.lax.while_loop(lambda x: x[0, 0] < 0, nnx.merge(graph, state), self.first(x))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Product, r"cannot scale Product \(Product\): its output is not linear in its kernels"),
        (Weighted, "not linear in its kernels; use another initializer"),
        (Looped, "lsuv sees no call of layer: call it outside of loops"),
    ],
)
def test_models_that_cannot_be_scaled_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        lsuv(model(rngs=nnx.Rngs(0)), images(8, 4))


def test_kernels_whose_outputs_are_added_are_scaled_together():
    x = images(32, 4)
    scaled = lsuv(Sum(rngs=nnx.Rngs(0)), x)
    assert float(jnp.std(scaled(x))) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (jnp.ones((0, 4)), ValueError, r"x has shape \(0, 4\); expected a batch"),
        (jnp.ones((2, 4), jnp.int32), TypeError, "x is int32; expected a floating dtype"),
    ],
)
def test_batches_that_do_not_fit(x, error, message):
    with pytest.raises(error, match=message):
        lsuv(layers.Dense(4, 2, rngs=nnx.Rngs(0)), x)
