"""The dtypes of an ONNX graph."""

from typing import Any

import jax.numpy as jnp
import numpy as np


def dtype_of(dtype: Any) -> np.dtype:
    """The dtype in ONNX: bfloat16, which hardly any runtime computes with, becomes float32."""
    return np.dtype(np.float32 if dtype == jnp.bfloat16 else dtype)


def code_of(dtype: Any) -> int:
    """The number by which ONNX knows a dtype."""
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(dtype_of(dtype)))
