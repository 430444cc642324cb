"""Arguments of a function as text: `f32[128,28,28,32]` for an array, or a number."""

import math
import re
from typing import Any

import jax
import jax.numpy as jnp

from jcnn.errors import UsageError

_SHORT = {
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "bf16": "bfloat16",
    "i32": "int32",
    "i64": "int64",
    "u8": "uint8",
    "u32": "uint32",
    "bool": "bool",
}


def argument(text: str) -> Any:
    """Return the value that a text stands for.

    `f32[8,3]` is an array of normal random numbers, the same at every call; arrays of integers are
    0, and those of bool false. Anything else is a whole or a decimal number, or true or false.

    Raises UsageError for any other text.

    >>> argument("bf16[4,2]").dtype, argument("3"), argument("0.5"), argument("true")
    (dtype(bfloat16), 3, 0.5, True)
    """
    found = re.fullmatch(r"(\w+)\[([\d, ]*)\]", text)
    if found:
        try:
            dtype = jnp.dtype(_SHORT.get(found[1], found[1]))
        except TypeError:
            raise UsageError(
                f"--args {text}: {found[1]} is no dtype; expected one of {', '.join(_SHORT)}"
            ) from None
        shape = tuple(int(length) for length in found[2].split(",") if length.strip())
        if not jnp.issubdtype(dtype, jnp.floating):
            return jnp.zeros(shape, dtype)
        return jax.random.normal(jax.random.key(math.prod(shape) % 2**32), shape, dtype)
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise UsageError(f"--args {text}: expected an array such as f32[128,28,28,3], or a number")
