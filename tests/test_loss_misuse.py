"""Calls of losses that would return a number, and the wrong one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import losses

LOGITS = jnp.asarray([[5.0, 1.0, 0.0], [-3.0, 0.0, 2.0]])
COLUMN = LOGITS[:, :1]


@pytest.mark.parametrize(
    ("loss", "first", "second", "options", "message"),
    [
        ("cross_entropy", COLUMN, [[0], [1]], {}, "one column.*use .*binary_cross_entropy"),
        ("cross_entropy", COLUMN, [0, 0], {}, "one column.*or logits with two columns"),
        ("cross_entropy", COLUMN, [[0.0], [1.0]], {}, "one column"),
        ("cross_entropy", LOGITS, [0, 3], {}, "labels: 3 is not between 0 and 2 for 3 columns"),
        ("cross_entropy", LOGITS, [-1, 0], {}, "labels: -1 is not between 0 and 2"),
        ("cross_entropy", LOGITS, [[0], [1]], {}, "expected integers of shape"),
        ("cross_entropy", LOGITS, [0.0, 1.0], {}, "expected integers of shape"),
        ("cross_entropy", LOGITS, [[2, 0, 0], [0, 1, 0]], {}, "labels: 2.0 .*are probabilities"),
        ("cross_entropy", LOGITS, [[0, 0, 0], [0, 1, 0]], {}, "sum of the labels over classes: 0"),
        ("cross_entropy", LOGITS, [[1, 1, 0], [0, 1, 0]], {}, "sum of the labels over classes: 2"),
        ("cross_entropy", LOGITS, [0, 1], {"label_smoothing": 2.0}, "label_smoothing: 2.0"),
        ("binary_cross_entropy", LOGITS[0], [1, 2, 0], {}, "labels: 2.0 is not between 0 and 1"),
        ("binary_cross_entropy", LOGITS[0], [1, -1, 0], {}, "labels: -1.0"),
        ("binary_cross_entropy", LOGITS[0], [1, np.nan, 0], {}, "labels: nan"),
        ("binary_cross_entropy", COLUMN, [0, 1], {}, "expected equal shapes"),
        ("mean_squared_error", COLUMN, [0.0, 1.0], {}, "expected equal shapes"),
        ("huber", COLUMN, [0.0, 1.0], {}, "expected equal shapes"),
        ("huber", COLUMN, [[0.0], [1.0]], {"delta": -1.0}, "delta: -1.0"),
    ],
)
def test_misuse_is_refused(loss, first, second, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(losses, loss)(first, jnp.asarray(second), **options)


def test_one_column_is_refused_in_compiled_code_too():
    with pytest.raises(ValueError, match="one column"):
        jax.jit(losses.cross_entropy)(COLUMN, jnp.zeros(2, jnp.int32))


def test_the_loss_that_the_message_names_is_the_right_one():
    got = losses.binary_cross_entropy(jnp.asarray([5.0, -3.0, 0.5]), jnp.asarray([0, 1, 1]))
    np.testing.assert_allclose(got, [5.0067, 3.0486, 0.4741], rtol=1e-4)


def test_a_label_out_of_range_is_nan_in_compiled_code():
    assert jnp.isnan(jax.jit(losses.cross_entropy)(LOGITS, jnp.asarray([0, 3]))).tolist() == [
        False,
        True,
    ]
