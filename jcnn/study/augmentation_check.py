"""The check that an augmentation keeps the shape of images, before anything is trained."""

from collections.abc import Callable
from typing import Any

import jax

from jcnn.data import Dataset
from jcnn.study.model_error import ModelError, reason


def check_augmentation(
    augment: Callable[..., Any] | None, dataset: Dataset, batch_size: int
) -> None:
    """Raise ModelError if an augmentation fails on a batch of images, or changes its shape."""
    if augment is None:
        return
    inputs = dataset.train_inputs
    batch = jax.ShapeDtypeStruct((batch_size, *inputs.shape[1:]), inputs.dtype)
    try:
        changed = jax.eval_shape(lambda seed, x: augment(jax.random.key(seed), x), 0, batch)
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ModelError(f"augmentation: {kind}{reason(error)}") from error
    shape = getattr(changed, "shape", type(changed).__name__)
    if shape != batch.shape:
        raise ModelError(
            f"the augmentation maps images of shape {batch.shape} to {shape}; expected the same "
            "shape"
        )
