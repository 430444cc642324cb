"""Losses against Optax, and their gradients against closed forms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jcnn import losses

LOGITS = jnp.asarray(np.random.default_rng(0).normal(size=(6, 4)) * 3, jnp.float32)
LABELS = jnp.array([0, 1, 2, 3, 1, 1])


def test_cross_entropy_matches_optax():
    expected = optax.softmax_cross_entropy_with_integer_labels(LOGITS, LABELS)
    one_hot = jax.nn.one_hot(LABELS, 4)
    np.testing.assert_allclose(losses.cross_entropy(LOGITS, LABELS), expected, rtol=1e-5)
    np.testing.assert_allclose(losses.cross_entropy(LOGITS, one_hot), expected, rtol=1e-5)
    smooth = optax.softmax_cross_entropy(LOGITS, optax.smooth_labels(one_hot, 0.1))
    np.testing.assert_allclose(
        losses.cross_entropy(LOGITS, LABELS, label_smoothing=0.1), smooth, rtol=1e-5
    )


def test_gradient_is_softmax_minus_one_hot():
    gradient = jax.grad(lambda z: losses.cross_entropy(z, LABELS, reduction="sum"))(LOGITS)
    expected = jax.nn.softmax(LOGITS) - jax.nn.one_hot(LABELS, 4)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


def test_other_losses_match_optax():
    p, t = LOGITS, jnp.flip(LOGITS, 0)
    squared = optax.squared_error(p, t).mean(-1)
    np.testing.assert_allclose(losses.mean_squared_error(p, t), squared, rtol=1e-5)
    np.testing.assert_allclose(
        losses.huber(p, t, delta=0.7), optax.huber_loss(p, t, delta=0.7).mean(-1), rtol=1e-5
    )
    z, y = LOGITS[:, 0], jnp.array([0, 1, 1, 0, 1, 0])
    expected = optax.sigmoid_binary_cross_entropy(z, y.astype(jnp.float32))
    np.testing.assert_allclose(losses.binary_cross_entropy(z, y), expected, rtol=1e-5)


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_extreme_logits_stay_finite(logit):
    value, slope = jax.value_and_grad(
        lambda z: losses.binary_cross_entropy(z, jnp.float32(0.0)), allow_int=True
    )(jnp.float32(logit))
    assert jnp.isfinite(value)
    assert slope == (1.0 if logit > 0 else 0.0)
    assert jnp.isfinite(losses.cross_entropy(jnp.array([logit, 0.0]), jnp.int32(1)))


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8, jnp.int8])
def test_a_label_out_of_range_gives_nan_in_compiled_code(dtype):
    labels = jnp.array([0, 4, 3], jnp.int32).astype(dtype)
    value_and_grad = jax.value_and_grad(lambda z, y: losses.cross_entropy(z, y).sum())
    each = jax.jit(losses.cross_entropy)(LOGITS[:3], labels)
    assert jnp.isnan(each).tolist() == [False, True, False]
    smoothed = partial(losses.cross_entropy, label_smoothing=0.1)
    assert jnp.isnan(jax.jit(smoothed)(LOGITS[0], jnp.int32(-1)))
    value, gradient = jax.jit(value_and_grad)(LOGITS[:3], labels)
    assert jnp.isnan(value)
    assert jnp.isnan(gradient).any(-1).tolist() == [False, True, False]


def test_small_integer_dtypes_work_with_many_classes():
    logits = jnp.zeros(300).at[256].set(5.0)
    expected = losses.cross_entropy(logits, jnp.int32(0))
    assert losses.cross_entropy(logits, jnp.uint8(0)) == expected


def test_a_class_of_probability_0_and_weight_0_adds_nothing():
    logits = jnp.array([1.0, -jnp.inf, 2.0])
    for label in (jnp.int32(0), jnp.array([1.0, 0.0, 0.0])):
        value, gradient = jax.value_and_grad(losses.cross_entropy)(logits, label)
        assert value == pytest.approx(np.log1p(np.e))
        np.testing.assert_allclose(gradient, jax.nn.softmax(logits) - jnp.eye(3)[0], rtol=1e-6)
    assert losses.cross_entropy(logits, jnp.int32(1)) == jnp.inf
    for logit, label, expected, slope in (
        (jnp.inf, 1.0, 0.0, 0.0),
        (-jnp.inf, 0.0, 0.0, 0.0),
        (-jnp.inf, 1.0, jnp.inf, -1.0),
    ):
        got = jax.value_and_grad(losses.binary_cross_entropy)(
            jnp.float32(logit), jnp.float32(label)
        )
        assert got == (expected, slope)


def test_reductions_and_half_precision():
    each = losses.cross_entropy(LOGITS, LABELS)
    assert losses.cross_entropy(LOGITS, LABELS, reduction="mean") == jnp.mean(each)
    assert losses.cross_entropy(LOGITS, LABELS, reduction="sum") == jnp.sum(each)
    assert losses.cross_entropy(LOGITS.astype(jnp.bfloat16), LABELS).dtype == jnp.float32


def test_errors():
    with pytest.raises(ValueError, match="expected None, 'mean' or 'sum'"):
        losses.cross_entropy(LOGITS, LABELS, reduction="average")
    with pytest.raises(ValueError, match="expected integers of shape"):
        losses.cross_entropy(LOGITS, LABELS[:3])
    with pytest.raises(ValueError, match="reshape one of them"):
        losses.mean_squared_error(LOGITS, LOGITS[:3])
    for loss in (losses.mean_squared_error, losses.huber):
        with pytest.raises(
            ValueError, match=r"predictions have shape \(\); expected \(\*batch, k\)"
        ):
            loss(1.0, 2.0)
    with pytest.raises(ValueError, match=r"logits have shape \(\)"):
        losses.cross_entropy(1.0, 0)
