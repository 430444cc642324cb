"""Signals and gradients in wide random networks (Poole et al. 2016, Schoenholz et al. 2017).

A layer is `h' = W f(h) + b` with W normal of variance `weight_variance / fan_in` and b normal of
variance `bias_variance`. As its width grows, an element of h is normal over the draws of W and b,
and all follows from two numbers a layer: its variance q, and the correlation c of two inputs.
A convolution of centred positions behaves alike (Xiao et al. 2018).
"""

import math
from typing import NamedTuple

import numpy as np

from jcnn.quadrature import Function, Smooth, expectation, pair_expectation

# Fixed points are looked for between these variances; beyond them they count as 0 or infinite.
_LEAST, _MOST = 1e-10, 1e10
# How near 1 a factor is taken to be 1: what quadrature in float64 leaves open.
_EXACT = 1e-9


class MeanField(NamedTuple):
    """Where depth leads a signal, and how fast.

    `variance` is q*, that of h after many layers, 0 or infinite where it dies or explodes.
    `chi` is chi_1: the factor by which a layer multiplies the squared gradient norm, and the
    squared distance of two near inputs; below 1 gradients vanish (ordered), above they explode
    (chaotic). `correlation` is c*, which all pairs of inputs tend to: 1 in the ordered phase.
    `variance_depth` and `correlation_depth` are xi_q and xi_c, the layers in which the distance to
    q* and c* falls by e; infinite at the edge of chaos, where alone deep networks train: to about
    6 xi_c layers (Schoenholz et al. 2017). NaN where q* is 0 or infinite.
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
    """The fixed point of a network with this activation and these variances.

    Of several stable fixed points it is the one that a signal of variance 1 comes to.

    Raises ValueError for variances that are not at least 0 and finite, or a function that is not
    elementwise.

    >>> import jax.numpy as jnp
    >>> found = mean_field(jnp.tanh, weight_variance=2.2, bias_variance=0.05)
    >>> found.phase, round(found.correlation_depth, 1)
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
    """The weight variance at the edge of chaos, `chi_1 = 1`; NaN where there is none below 1,000.

    >>> import jax
    >>> round(critical_weight_variance(jax.nn.relu), 6)
    2.0
    """
    from scipy.optimize import brentq

    check_variances(bias_variance=bias_variance)
    smooth = Smooth(function)

    def beyond(log_variance: float) -> float:
        weight_variance = math.exp(log_variance)
        q = _fixed_variance(smooth, weight_variance, bias_variance)
        chi = slope_factor(smooth, weight_variance, min(max(q, _LEAST), _MOST))
        return math.log(max(chi, 1e-300))

    grid = np.log(np.geomspace(0.05, 1000, 60))
    values = [beyond(point) for point in grid]
    for low, high, a, b in zip(grid, grid[1:], values, values[1:], strict=False):
        if a <= 0 < b:
            return math.exp(brentq(beyond, low, high, xtol=1e-12, rtol=1e-12))
    return math.nan


def variance_map(
    smooth: Smooth, variance: float, weight_variance: float, bias_variance: float
) -> float:
    """The next layer's variance: `weight_variance E[f(x)^2] + bias_variance`."""
    return weight_variance * expectation(lambda x: smooth.value(x) ** 2, variance) + bias_variance


def correlation_map(
    smooth: Smooth,
    correlation: float,
    variance: float,
    weight_variance: float,
    bias_variance: float,
) -> float:
    """The next layer's correlation of two inputs whose variance is at its fixed point."""
    together = pair_expectation(smooth.value, variance, correlation)
    return (weight_variance * together + bias_variance) / variance


def slope_factor(smooth: Smooth, weight_variance: float, variance: float) -> float:
    """What chi is at a variance: `weight_variance E[f'(x)^2]`."""
    return weight_variance * expectation(lambda x: smooth.slope(x) ** 2, variance)


def _fixed_variance(smooth: Smooth, weight_variance: float, bias_variance: float) -> float:
    """The stable root of `variance_map(q) = q` on the side to which q = 1 moves."""
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
            there = excess(point)
        except ValueError:  # values overflow out there
            return math.inf
        if (there > 0) != grow:
            return math.exp(brentq(excess, last, point, xtol=1e-13, rtol=1e-13))
        last = point
    return math.inf if grow else 0.0


def _fixed_correlation(
    smooth: Smooth, weight_variance: float, bias_variance: float, q: float, chi: float
) -> tuple[float, float]:
    """c*, and the factor by which a layer multiplies the distance to it."""
    if chi <= 1 + _EXACT:
        return 1.0, chi
    from scipy.optimize import brentq

    def excess(c: float) -> float:
        return correlation_map(smooth, c, q, weight_variance, bias_variance) - c

    # The map is above the diagonal at 0 and, since chi > 1, below it just under 1.
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
    """Raise ValueError for a variance that is not finite and at least 0."""
    for name, value in variances.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}={value!r}; expected a finite number of at least 0")
