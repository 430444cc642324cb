"""Arguments of pooling that are refused, and numpy integers, which are not."""

import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import pooling
from tests.pooling.cases import POOLINGS, sample


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window_shape": (0, 2)}, "expected 1 to 3 positive sizes"),
        ({"window_shape": (2, 2), "strides": (1, 2, 3)}, r"strides=\(1, 2, 3\)"),
        ({"window_shape": (2, 2), "padding": "FULL"}, "expected 'SAME', 'VALID'"),
        ({"window_shape": (2, 2), "padding": ((2, 0), (0, 0))}, "only padding"),
        ({"window_shape": (9, 9)}, "use a smaller window"),
        ({"window_shape": (2, 2, 2)}, "add the missing axes"),
        ({"window_shape": 0}, r"window_shape=\(0,\); expected .* such as \(2, 2\)"),
        ({"window_shape": 1.5}, r"window_shape=1.5; expected .* such as \(2, 2\)"),
        ({"window_shape": (2, 1.5)}, r"window_shape=\(2, 1.5\); expected .* such as \(2, 2\)"),
        ({"window_shape": (2, 2), "strides": 1.5}, "strides=1.5; expected a positive integer"),
        ({"window_shape": (2, 2), "padding": -1}, r"padding=-1; expected .* \(low, high\) pairs"),
        ({"window_shape": (2, 2), "padding": ((1,), (1, 1))}, r"2 \(low, high\) pairs"),
        ({"window_shape": (2, 2), "padding": ((1.5, 1), (1, 1))}, r"2 \(low, high\) pairs"),
        ({"window_shape": (2, 2), "padding": (1, 1)}, r"2 \(low, high\) pairs"),
    ],
)
def test_errors_say_what_to_change(arguments, message, unchecked_types):
    with pytest.raises(ValueError, match=message):
        pooling.max_pool(jnp.ones((4, 4, 1)), **arguments)


def test_other_sizes_are_checked_too(unchecked_types):
    x = jnp.ones((4, 4, 1))
    for call, name in (
        (lambda: pooling.adaptive_max_pool(x, 1.5), "output_shape=1.5"),
        (lambda: pooling.adaptive_avg_pool(x, (0, 2)), r"output_shape=\(0, 2\)"),
        (lambda: pooling.blur_pool(x, (0, 2)), r"strides=\(0, 2\)"),
        (lambda: pooling.gaussian_weights(2), "window_shape=2"),
    ):
        with pytest.raises(ValueError, match=f"{name}; expected 1 to 3 positive sizes"):
            call()
    with pytest.raises(ValueError, match="add the missing axes"):
        pooling.adaptive_avg_pool(x[0], (2, 2))


@pytest.mark.parametrize("name", POOLINGS)
def test_numpy_integers_are_accepted(name, unchecked_types):
    function, _ = POOLINGS[name]
    x = jnp.asarray(sample((5, 5)))
    two, one = np.int64(2), np.int64(1)
    y = function(x, np.array([2, 2]), two, ((one, one), (0, one)), dilation=[one, one])
    np.testing.assert_array_equal(y, function(x, (2, 2), 2, ((1, 1), (0, 1)), dilation=1))


@pytest.mark.parametrize(
    ("function", "dtype", "message"),
    [
        (pooling.max_pool, bool, "x is bool; expected a real dtype: cast with .astype"),
        (pooling.max_pool, jnp.complex64, "x is complex64; expected a real dtype"),
        (pooling.adaptive_max_pool, bool, "x is bool; expected a real dtype"),
        (pooling.mixed_pool, bool, "x is bool; expected a floating dtype: cast with .astype"),
        (pooling.mixed_pool, jnp.complex64, "x is complex64; expected a floating dtype"),
        (pooling.adaptive_avg_pool, jnp.int32, "x is int32; expected a floating dtype"),
        (pooling.soft_pool, jnp.int32, "x is int32; expected a floating dtype"),
        (pooling.avg_pool, jnp.int32, "x is int32; expected a floating dtype"),
    ],
)
def test_dtypes_that_cannot_be_pooled(function, dtype, message):
    with pytest.raises(TypeError, match=message):
        function(jnp.ones((4, 4, 1), dtype), (2, 2))


def test_lp_requires_p_of_at_least_1():
    with pytest.raises(ValueError, match="expected 1 or more"):
        pooling.lp_pool(jnp.ones((4, 4, 1)), (2, 2), p=0.5)
