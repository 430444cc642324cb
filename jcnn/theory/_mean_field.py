"""Signals and gradients in wide random networks (Poole et al. 2016, Schoenholz et al. 2017).

A layer is `h' = W f(h) + b` with W normal of variance `weight_variance / fan_in` and b normal of
variance `bias_variance`. At infinite width the elements of h are normal over the draws of W and b.
Two numbers per layer then describe it: the variance q of h, and the correlation c of the h of two
inputs. Convolutions behave alike (Xiao et al. 2018).
"""

import math
from typing import NamedTuple

import numpy as np

from jcnn.quadrature import Function, Smooth, expectation, pair_expectation

# Fixed points are searched between these variances; beyond them they count as 0 or infinite.
_LEAST, _MOST = 1e-10, 1e10
# Factors this close to 1 count as 1: the accuracy of quadrature in float64.
_EXACT = 1e-9


class MeanField(NamedTuple):
    """The fixed point of a network, and how fast signals approach it.

    `variance` is q*, the variance of h after many layers: 0 if signals die out, infinite if they
    explode. `chi` is chi_1, the factor per layer of the squared gradient norm and of the squared
    distance of two nearby inputs: below 1 gradients vanish (ordered phase), above 1 they explode
    (chaotic phase). `correlation` is c*, the limit of the correlation of two inputs: 1 in the
    ordered phase. `variance_depth` and `correlation_depth` are xi_q and xi_c, the number of layers
    over which the distance to q* and c* falls by a factor of e; xi_c is infinite at the edge of
    chaos. Networks train to a depth of about 6 xi_c (Schoenholz et al. 2017). The last three are
    NaN if q* is 0 or infinite.
    """

    weight_variance: float
    bias_variance: float
    variance: float
    chi: float
    correlation: float
    variance_depth: float
    correlation_depth: float

    @property
    def phase(self) -> str:
        """`ordered`, `critical` or `chaotic`."""
        if abs(self.chi - 1) < 1e-6:
            return "critical"
        return "ordered" if self.chi < 1 else "chaotic"


def mean_field(
    function: Function, *, weight_variance: float, bias_variance: float = 0.0
) -> MeanField:
    """Return the fixed point of a network with this activation and these variances.

    If there are several stable fixed points, it is the one that a signal of variance 1 approaches.

    Raises ValueError if a variance is negative or not finite, or `function` is not elementwise.

    >>> import jax.numpy as jnp
    >>> point = mean_field(jnp.tanh, weight_variance=2.2, bias_variance=0.05)
    >>> point.phase, round(point.correlation_depth, 1)
    ('chaotic', 16.2)
    """
    check_variances(weight_variance=weight_variance, bias_variance=bias_variance)
    smooth = Smooth(function)
    q = _fixed_variance(smooth, weight_variance, bias_variance)
    inside = min(max(q, _LEAST), _MOST)
    chi = slope_factor(smooth, weight_variance, inside)
    if not 0 < q < math.inf:
        nan = math.nan
        return MeanField(weight_variance, bias_variance, q, chi, nan, nan, nan)
    bend = weight_variance * expectation(lambda x: smooth.curvature(x) * smooth.value(x), q)
    c, factor = _fixed_correlation(smooth, weight_variance, bias_variance, q, chi)
    return MeanField(weight_variance, bias_variance, q, chi, c, _depth(chi + bend), _depth(factor))


def critical_weight_variance(function: Function, bias_variance: float = 0.0) -> float:
    """Return the weight variance at the edge of chaos, `chi_1 = 1`; NaN if it is not below 1,000.

    >>> import jax
    >>> round(critical_weight_variance(jax.nn.relu), 6)
    2.0
    """
    from scipy.optimize import brentq

    check_variances(bias_variance=bias_variance)
    smooth = Smooth(function)

    def log_chi(log_variance: float) -> float:
        weight_variance = math.exp(log_variance)
        q = _fixed_variance(smooth, weight_variance, bias_variance)
        chi = slope_factor(smooth, weight_variance, min(max(q, _LEAST), _MOST))
        return math.log(max(chi, 1e-300))

    grid = np.log(np.geomspace(0.05, 1000, 60))
    values = [log_chi(point) for point in grid]
    for low, high, a, b in zip(grid, grid[1:], values, values[1:], strict=False):
        if a <= 0 < b:
            return math.exp(brentq(log_chi, low, high, xtol=1e-12, rtol=1e-12))
    return math.nan


def variance_map(
    smooth: Smooth, variance: float, weight_variance: float, bias_variance: float
) -> float:
    """Return the next layer's variance, `weight_variance E[f(x)^2] + bias_variance`."""
    return weight_variance * expectation(lambda x: smooth.value(x) ** 2, variance) + bias_variance


def correlation_map(
    smooth: Smooth,
    correlation: float,
    variance: float,
    weight_variance: float,
    bias_variance: float,
) -> float:
    """Return the next layer's correlation of two inputs if their variance is at its fixed point."""
    product = pair_expectation(smooth.value, variance, correlation)
    return (weight_variance * product + bias_variance) / variance


def slope_factor(smooth: Smooth, weight_variance: float, variance: float) -> float:
    """Return chi at a variance, `weight_variance E[f'(x)^2]`."""
    return weight_variance * expectation(lambda x: smooth.slope(x) ** 2, variance)


def _fixed_variance(smooth: Smooth, weight_variance: float, bias_variance: float) -> float:
    """Return the stable root of `variance_map(q) = q` that is approached from q = 1."""
    from scipy.optimize import brentq

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        return (
            math.log(max(variance_map(smooth, q, weight_variance, bias_variance), 1e-300)) - log_q
        )

    at_one = excess(0.0)
    if abs(at_one) < _EXACT:
        return 1.0
    grow = at_one > 0
    last = 0.0
    for point in np.log(np.geomspace(1.0, _MOST if grow else _LEAST, 41))[1:]:
        try:
            value = excess(point)
        except ValueError:  # the variance overflows
            return math.inf
        if (value > 0) != grow:
            return math.exp(brentq(excess, last, point, xtol=1e-13, rtol=1e-13))
        last = point
    return math.inf if grow else 0.0


def _fixed_correlation(
    smooth: Smooth, weight_variance: float, bias_variance: float, q: float, chi: float
) -> tuple[float, float]:
    """Return c*, and the factor per layer of the distance to it."""
    if chi <= 1 + _EXACT:
        return 1.0, chi
    from scipy.optimize import brentq

    def excess(c: float) -> float:
        return correlation_map(smooth, c, q, weight_variance, bias_variance) - c

    # The map lies above the diagonal at 0 and, since chi > 1, below it just under 1.
    near = 1 - 1e-9
    while excess(near) >= 0 and near > 0.5:
        near = 1 - 4 * (1 - near)
    at_zero = excess(0.0)
    c = 0.0 if at_zero <= _EXACT else float(brentq(excess, 0.0, near, xtol=1e-12))
    return c, weight_variance * pair_expectation(smooth.slope, q, c)


def _depth(factor: float) -> float:
    if abs(factor - 1) < _EXACT:
        return math.inf
    return -1 / math.log(factor) if 0 < factor < 1 else math.inf if factor > 1 else 0.0


def check_variances(**variances: float) -> None:
    """Raise ValueError if a variance is negative or not finite."""
    for name, value in variances.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}={value!r}; expected a finite number of at least 0")
