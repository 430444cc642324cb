"""Layer by layer: the signal's variance going up, and the gradient's factor coming down."""

import math
from typing import NamedTuple

from jcnn.quadrature import Function, Smooth
from jcnn.theory.meanfield import check_variances, slope_factor, variance_map


class Layer(NamedTuple):
    """One hidden layer: the variance of its pre-activations h, and its `gradient_factor`.

    That is |dL/dh below| over |dL/dh here|: how the gradient's norm changes on its way to the layer
    below, `sqrt(weight_variance E[f'(h below)^2])`; 1 for the first layer, which has none below.
    """

    variance: float
    gradient_factor: float


def propagate(
    function: Function,
    depth: int,
    *,
    weight_variance: float,
    bias_variance: float = 0.0,
    variance: float = 1.0,
) -> list[Layer]:
    """What a wide network of `depth` hidden layers does, whose first has pre-activations of
    `variance`, for layers of one width: W normal of variance `weight_variance / width`.

    Raises ValueError for variances that are not finite and at least 0, a depth below 1, or values
    that overflow on the way.

    >>> import jax
    >>> layers = propagate(jax.nn.relu, 3, weight_variance=1.0)
    >>> [round(layer.variance, 3) for layer in layers], round(layers[2].gradient_factor, 3)
    ([1.0, 0.5, 0.25], 0.707)
    """
    check_variances(weight_variance=weight_variance, bias_variance=bias_variance, variance=variance)
    if depth < 1:
        raise ValueError(f"depth={depth}; expected at least 1 hidden layer")
    smooth = Smooth(function)
    layers = [Layer(variance, 1.0)]
    for _ in range(depth - 1):
        below = layers[-1].variance
        factor = math.sqrt(slope_factor(smooth, weight_variance, below))
        layers.append(Layer(variance_map(smooth, below, weight_variance, bias_variance), factor))
    return layers


def gradient_ratio(layers: list[Layer]) -> float:
    """|dL/dh| of the first layer over that of the last: below 1 where gradients vanish.

    >>> import jax
    >>> round(gradient_ratio(propagate(jax.nn.relu, 11, weight_variance=1.0)), 6)  # 2^-5
    0.03125
    """
    return math.prod(layer.gradient_factor for layer in layers)
