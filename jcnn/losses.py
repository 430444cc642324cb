"""Losses per example, or reduced by `reduction="mean"` or `"sum"`.

They differ from Optax's in that half precision is computed and returned in float32, shapes and
labels are checked, `0 * log 0` is 0, and losses with a vector per example average over it.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

__all__ = [
    "binary_cross_entropy",
    "cross_entropy",
    "huber",
    "mean_squared_error",
]


def cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    label_smoothing: float = 0.0,
    class_weights: ArrayLike | Sequence[float] | None = None,
    ignore_label: int | None = None,
    reduction: str | None = None,
) -> Array:
    """Return the softmax cross-entropy `-sum_c t_c log softmax(logits)_c` in nats, `(*batch,)`.

    `logits` are `(*batch, classes)`; `labels` are integers `(*batch,)`, or probabilities (such as
    one-hot) of the shape of the logits. With `label_smoothing` a, t becomes
    `(1 - a) t + a / classes`. The gradient for the logits is `softmax(logits) - t`. A class with
    logit -inf and t = 0 adds nothing. In compiled code, which cannot raise, an integer label
    outside `[0, classes)` gives NaN for the loss and the gradient.

    With `class_weights` w, `(classes,)`, the terms of the sum are `w_c t_c log softmax(logits)_c`,
    and the mean is divided by the weights of the labels, as in PyTorch. Where an integer label is
    `ignore_label`, loss and gradient are 0, and the mean does not count it.

    Raises ValueError if the shapes do not match, if there is one class (`binary_cross_entropy` is
    for that), and outside of compiled code for labels that are out of range or no probabilities.

    >>> import jax.numpy as jnp
    >>> round(float(cross_entropy(jnp.zeros(10), jnp.int32(3))), 4)
    2.3026
    """
    logits, labels = _float32(logits), jnp.asarray(labels)
    _has_last_axis("logits", logits)
    classes = logits.shape[-1]
    if classes == 1:
        raise ValueError(
            f"logits have shape {logits.shape}, one column, whose softmax is always 1; use "
            "jcnn.losses.binary_cross_entropy(logits[..., 0], labels) for labels 0 and 1, or "
            "logits with two columns"
        )
    _between("label_smoothing", label_smoothing, 0, 1)
    ignored = None
    if ignore_label is not None and jnp.issubdtype(labels.dtype, jnp.integer):
        ignored = labels == ignore_label
        labels = jnp.where(ignored, jnp.zeros((), labels.dtype), labels)
    if jnp.issubdtype(labels.dtype, jnp.integer) and labels.shape == logits.shape[:-1]:
        # A small integer dtype cannot represent the number of classes.
        labels = labels.astype(jnp.int32) if labels.dtype.itemsize < 4 else labels
        _between("labels", labels, 0, classes - 1, f" for {classes} columns of logits")
        valid = ((labels >= 0) & (labels < classes))[..., None]
        one_hot = jax.nn.one_hot(labels, classes, dtype=logits.dtype)
        target = jnp.where(valid, one_hot, jnp.nan)
    elif labels.shape == logits.shape:
        target = labels.astype(logits.dtype)
        _between("labels", target, 0, 1, "; labels of the shape of the logits are probabilities")
        _between("the sum of the labels over classes", jnp.sum(target, -1), 0.99, 1.01)
    else:
        raise ValueError(
            f"labels are {labels.dtype} of shape {labels.shape}; expected integers of shape "
            f"{logits.shape[:-1]}, or probabilities of shape {logits.shape}"
        )
    weights = None
    if class_weights is not None:
        by_class = _float32(jnp.asarray(class_weights))
        if by_class.shape != (classes,):
            raise ValueError(f"class_weights have shape {by_class.shape}; expected ({classes},)")
        by_class = jnp.broadcast_to(by_class, target.shape)
        weights = jnp.sum(target * by_class, axis=-1)
    target = (1 - label_smoothing) * target + label_smoothing / classes
    if class_weights is not None:
        target = target * by_class
    if ignored is not None:
        target = jnp.where(ignored[..., None], 0, target)
        weights = jnp.where(ignored, 0, jnp.ones(()) if weights is None else weights)
    loss = -jnp.sum(_product(target, jax.nn.log_softmax(logits)), axis=-1)
    if reduction == "mean" and weights is not None:
        return jnp.sum(loss) / jnp.sum(weights)
    return _reduce(loss, reduction)


def binary_cross_entropy(
    logits: ArrayLike, labels: ArrayLike, *, reduction: str | None = None
) -> Array:
    """Return the sigmoid cross-entropy `log(1 + exp(-s z))` per logit z, where s = 2 label - 1.

    `logits` and `labels` (0 or 1, or probabilities) have the same shape, which the result has too.
    The gradient for a logit is `sigmoid(z) - label`; the loss of an infinite logit with the sign of
    the label is 0. Raises ValueError if the shapes differ, and outside of compiled code for labels
    that are not between 0 and 1.

    >>> import jax.numpy as jnp
    >>> [round(float(v), 3) for v in binary_cross_entropy(jnp.array([0.0, 4.0]), jnp.array([1, 1]))]
    [0.693, 0.018]
    """
    logits, labels = _float32(logits), _float32(labels)
    _same_shape("logits", logits, "labels", labels)
    _between("labels", labels, 0, 1)
    one = _product(labels, jax.nn.log_sigmoid(logits))
    zero = _product(1 - labels, jax.nn.log_sigmoid(-logits))
    return _reduce(-one - zero, reduction)


def mean_squared_error(
    predictions: ArrayLike, targets: ArrayLike, *, reduction: str | None = None
) -> Array:
    """Return `mean((prediction - target)^2)` over the last axis: from `(*batch, k)` to `(*batch,)`.

    The unit is the square of the targets'. Raises ValueError if the shapes differ or are `()`.

    >>> import jax.numpy as jnp
    >>> mean_squared_error(jnp.array([[1.0, 3.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [5.0]
    """
    predictions, targets = _float32(predictions), _float32(targets)
    _same_shape("predictions", predictions, "targets", targets)
    _has_last_axis("predictions", predictions)
    return _reduce(jnp.mean(jnp.square(predictions - targets), axis=-1), reduction)


def huber(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    delta: float = 1.0,
    reduction: str | None = None,
) -> Array:
    """Return the mean over the last axis of Huber's loss of `e = prediction - target`.

    The loss is `e^2 / 2` if `|e| <= delta`, else `delta (|e| - delta / 2)` (Huber 1964); the
    gradient for a prediction is `clip(e, -delta, delta) / k`. Raises ValueError if the shapes
    differ or are `()`, or if `delta` is negative.

    >>> import jax.numpy as jnp
    >>> huber(jnp.array([[0.5], [10.0]]), jnp.zeros((2, 1))).tolist()
    [0.125, 9.5]
    """
    predictions, targets = _float32(predictions), _float32(targets)
    _same_shape("predictions", predictions, "targets", targets)
    _has_last_axis("predictions", predictions)
    _between("delta", delta, 0, math.inf)
    error = predictions - targets
    inside = jnp.clip(error, -delta, delta)
    return _reduce(jnp.mean(inside * (error - inside / 2), axis=-1), reduction)


def _float32(value: ArrayLike) -> Array:
    value = jnp.asarray(value)
    wide = jnp.issubdtype(value.dtype, jnp.floating) and value.dtype.itemsize > 4
    return value if wide else value.astype(jnp.float32)


def _product(weight: Array, log_probability: Array) -> Array:
    """Return `weight * log_probability`, which is 0 for weight 0 even if the probability is 0."""
    impossible = (weight == 0) & jnp.isneginf(log_probability)
    return weight * jnp.where(impossible, 0, log_probability)


def _between(
    name: str, value: ArrayLike, low: float | int, high: float | int, why: str = ""
) -> None:
    """Raise ValueError for a value outside `[low, high]`, or NaN; traced values are not known."""
    if isinstance(value, jax.core.Tracer):
        return
    values = np.asarray(value).reshape(-1)
    outside = values[~((values >= low) & (values <= high))]
    if outside.size:
        raise ValueError(f"{name}: {outside[0]} is not between {low} and {high}{why}")


def _has_last_axis(name: str, value: Array) -> None:
    if value.ndim < 1 or value.shape[-1] < 1:
        raise ValueError(
            f"{name} have shape {value.shape}; expected (*batch, k) with k >= 1: add the last "
            "axis, for example with [..., None]"
        )


def _same_shape(name: str, value: Array, other_name: str, other: Array) -> None:
    if value.shape != other.shape:
        raise ValueError(
            f"{name} have shape {value.shape} and {other_name} {other.shape}; expected equal "
            "shapes: reshape one of them"
        )


def _reduce(loss: Array, reduction: str | None) -> Array:
    if reduction is None:
        return loss
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction={reduction!r}; expected None, 'mean' or 'sum'")
    return jnp.mean(loss) if reduction == "mean" else jnp.sum(loss)


def __dir__() -> list[str]:
    return __all__
