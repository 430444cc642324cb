"""The singular values of one layer's Jacobian in the limit of width (Pennington et al. 2017).

The Jacobian of `f(W h)` in h is `D W`, D the diagonal of `f'(W h)`. Its squared singular values are
those of a sample covariance with population `t = weight_variance f'(x)^2`. Their Stieltjes
transform m solves Silverstein's equation, for square W `z = -1 / m + E[t / (1 + t m)]`.
"""

import math
from typing import NamedTuple

import numpy as np

from jcnn.quadrature import GRID, Function, Smooth

# The integral's range and step in log m: its integrand falls by e^-1/2 a unit at both ends.
_REACH, _STEP = 45.0, 0.1


class SingularValues(NamedTuple):
    """Of a wide square layer's Jacobian: mean, largest, and root mean square (`sqrt(chi)`)."""

    mean: float
    largest: float
    root_mean_square: float


def singular_values(
    function: Function, *, weight_variance: float, variance: float
) -> SingularValues:
    """Singular values of the Jacobian of `f(W h)` where `W h` has this variance.

    Raises ValueError for variances that are not positive and finite.

    >>> import jax
    >>> found = singular_values(jax.nn.identity, weight_variance=1.0, variance=1.0)
    >>> round(found.largest, 4), round(found.mean, 4)  # 2 and 8 / (3 pi)
    (2.0, 0.8488)
    """
    for name, value in (("weight_variance", weight_variance), ("variance", variance)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name}={value!r}; expected a positive number")
    z, weights = GRID
    t = weight_variance * Smooth(function).slope(math.sqrt(variance) * z) ** 2
    second = float(weights @ t)
    if second == 0:
        return SingularValues(0.0, 0.0, 0.0)
    edge = _largest(t, weights)
    return SingularValues(_mean(t, weights), math.sqrt(edge), math.sqrt(second))


def _largest(t: np.ndarray, weights: np.ndarray) -> float:
    """The upper end of the squared singular values: the least of z(m) for m in (-1 / max t, 0)."""
    from scipy.optimize import minimize_scalar

    bound = 1 / float(t.max())

    def z(share: float) -> float:
        m = -bound * share
        return -1 / m + float(weights @ (t / (1 + t * m)))

    return float(minimize_scalar(z, bounds=(1e-9, 1 - 1e-9), method="bounded").fun)


def _mean(t: np.ndarray, weights: np.ndarray) -> float:
    """The mean singular value, `E sqrt(l) = 1 / pi * integral of E[l / (l + x)] dx / sqrt(x)`.

    On the negative axis Silverstein's equation gives x from m in closed form, so the integral runs
    over log m and nothing needs to be solved: `x = E[1 / (m (1 + t m))]`.
    """
    log_m = np.arange(-_REACH, _REACH, _STEP) - math.log(float(weights @ t))
    total = 0.0
    for part in np.array_split(np.exp(log_m), 20):
        product = t * part[:, None]
        x = (1 / (1 + product)) @ weights / part
        fraction = (product / (1 + product)) @ weights
        slope = ((1 + 2 * product) / (1 + product) ** 2) @ weights / part
        total += float(np.sum(fraction * slope / np.sqrt(x)))
    return total * _STEP / math.pi
