"""Singular values of one layer's Jacobian at infinite width (Pennington et al. 2017).

The Jacobian of `f(W h)` with respect to h is `D W`, with D the diagonal matrix of `f'(W h)`. Its
squared singular values are the eigenvalues of a sample covariance matrix with population
`t = weight_variance f'(x)^2`. Their Stieltjes transform m solves Silverstein's equation, which for
square W is `z = -1 / m + E[t / (1 + t m)]`.
"""

import math
from typing import NamedTuple

import numpy as np

from jcnn.quadrature import GRID, Function, Smooth

# Range and step of the integral over log m. Towards both ends its integrand falls by a factor of
# e^-1/2 per unit.
_REACH, _STEP = 45.0, 0.1


class SingularValues(NamedTuple):
    """Singular values of a wide square layer's Jacobian; `root_mean_square` is `sqrt(chi)`."""

    mean: float
    largest: float
    root_mean_square: float


def singular_values(
    function: Function, *, weight_variance: float, variance: float
) -> SingularValues:
    """Return the singular values of the Jacobian of `f(W h)` if `W h` has this `variance`.

    Raises ValueError if a variance is not positive and finite.

    >>> import jax
    >>> values = singular_values(jax.nn.identity, weight_variance=1.0, variance=1.0)
    >>> round(values.largest, 4), round(values.mean, 4)  # 2 and 8 / (3 pi)
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
    """Return the largest squared singular value: the minimum of z(m) for m in (-1 / max t, 0)."""
    from scipy.optimize import minimize_scalar

    bound = 1 / float(t.max())

    def z(share: float) -> float:
        m = -bound * share
        return -1 / m + float(weights @ (t / (1 + t * m)))

    return float(minimize_scalar(z, bounds=(1e-9, 1 - 1e-9), method="bounded").fun)


def _mean(t: np.ndarray, weights: np.ndarray) -> float:
    """Return the mean singular value, `1 / pi * integral of E[l / (l + x)] dx / sqrt(x)`.

    l are the squared singular values. On the negative axis Silverstein's equation gives x in closed
    form, `x = E[1 / (m (1 + t m))]`, so the integral is taken over log m without solving anything.
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
