"""Dense and flatten, and the chain rule by hand through a two-layer network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn.activations import sigmoid
from jcnn.dense import dense, flatten


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_dense_is_a_matrix_product(batch):
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.normal(size=(*batch, 4)), rng.normal(size=(4, 5)), rng.normal(size=5)
    y = dense(*(jnp.asarray(a, jnp.float32) for a in (x, kernel, bias)))
    np.testing.assert_allclose(y, x @ kernel + bias, rtol=1e-5, atol=1e-5)


def test_half_precision_is_accumulated_in_float32():
    x, kernel = jnp.ones((1, 4096), jnp.bfloat16), jnp.ones((4096, 1), jnp.bfloat16)
    y = dense(x, kernel)
    assert y.dtype == jnp.bfloat16
    assert float(y[0, 0]) == 4096


def test_flatten_is_row_major():
    x = jnp.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(flatten(x), x.reshape(2, 12))
    assert flatten(x, start=0).shape == (24,)


def test_errors():
    with pytest.raises(ValueError, match="the same in"):
        dense(jnp.ones((2, 3)), jnp.ones((4, 5)))
    with pytest.raises(ValueError, match="bias has shape"):
        dense(jnp.ones((2, 4)), jnp.ones((4, 5)), jnp.ones(4))
    with pytest.raises(ValueError, match="start=5"):
        flatten(jnp.ones((2, 3)), start=5)


@pytest.mark.parametrize(
    ("dtypes", "message"),
    [
        ((jnp.int32, jnp.float32, jnp.float32), "x is int32; expected a floating dtype"),
        ((jnp.int32, jnp.int32, jnp.int32), "x is int32; expected a floating dtype"),
        ((jnp.float32, jnp.int32, None), "kernel is int32; expected float32, the dtype of x"),
        (
            (jnp.float16, jnp.float16, jnp.float32),
            "bias is float32; expected float16, the dtype of x",
        ),
        ((jnp.bfloat16, jnp.float32, None), "kernel is float32; expected bfloat16, the dtype of x"),
    ],
)
def test_dtypes_must_agree(dtypes, message):
    shapes = ((2, 3), (3, 4), (4,))
    arrays = [jnp.ones(s, d) for s, d in zip(shapes, dtypes, strict=True) if d is not None]
    with pytest.raises(TypeError, match=f"{message}: cast with .astype"):
        dense(*arrays)


def test_grad_matches_the_chain_rule_by_hand():
    rng = np.random.default_rng(0)
    x, w1, w2 = rng.normal(size=(6, 3)), rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    target = rng.normal(size=(6, 2))

    def loss(w1, w2):
        hidden = sigmoid(dense(jnp.asarray(x, jnp.float32), w1))
        return 0.5 * jnp.sum((dense(hidden, w2) - jnp.asarray(target, jnp.float32)) ** 2)

    hidden = 1 / (1 + np.exp(-x @ w1))
    d_output = hidden @ w2 - target  # dL/dO
    d_hidden = d_output @ w2.T  # dL/dH = dL/dO dO/dH
    d_before = d_hidden * hidden * (1 - hidden)  # through sigmoid' = s (1 - s)
    by_hand = x.T @ d_before, hidden.T @ d_output
    got = jax.grad(loss, argnums=(0, 1))(jnp.asarray(w1, jnp.float32), jnp.asarray(w2, jnp.float32))
    for mine, expected in zip(got, by_hand, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5)
