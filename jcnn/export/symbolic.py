"""The size of the batch in an exported function."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
from jax import export

from jcnn.errors import UsageError


def batch_size(batch: int | None = None) -> Any:
    """Return a fixed size, or by default a symbolic one: the function takes any number.

    >>> batch_size(8), str(batch_size())
    (8, 'batch')
    """
    if batch is not None:
        return batch
    (size,) = export.symbolic_shape("batch")
    return size


@contextmanager
def explained(function: Callable[[Any], Any], x: jax.ShapeDtypeStruct) -> Iterator[None]:
    """Raise UsageError, with a remedy, for a network that needs the size of the batch as a number.

    Errors that a batch of 2 raises too, and others if the size of `x` is fixed, stay as they are.

    >>> with explained(lambda x: x.reshape(len(x), -1), jax.ShapeDtypeStruct((8, 2), "float32")):
    ...     pass
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        if isinstance(x.shape[0], int):
            raise
        jax.eval_shape(function, jax.ShapeDtypeStruct((2, *x.shape[1:]), x.dtype))
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"the network does not take a batch of any size ({reason}); write x.shape[0] instead "
            "of len(x) in it, or fix the size with batch (--batch)"
        ) from error
