"""Normalization as pure functions: `(x - mean) / sqrt(variance + epsilon) * scale + bias`.

Flax has normalization as modules only; these are the functions behind it, which also keep the dtype
of `x`. `x` is `(*batch, *spatial, channels)`; `scale` and `bias` are `(channels,)` or None.
Statistics are computed in float32, in two passes, so that a large mean does not cancel. A constant
input gives the bias, with a finite gradient because of `epsilon`. Every function raises TypeError
for dtypes that are not floating point and ValueError for shapes that do not match.
"""

from jcnn.normalization._norms import batch_norm as batch_norm
from jcnn.normalization._norms import group_norm as group_norm
from jcnn.normalization._norms import instance_norm as instance_norm
from jcnn.normalization._norms import layer_norm as layer_norm
from jcnn.normalization._norms import moments as moments
from jcnn.normalization._norms import rms_norm as rms_norm
from jcnn.normalization._norms import standardize_kernel as standardize_kernel
from jcnn.public import public_names


def __dir__() -> list[str]:
    return public_names(globals())
