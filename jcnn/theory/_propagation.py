"""The variance of signals and the factor of gradients, layer by layer."""

import math
from typing import NamedTuple

from jcnn.quadrature import Function, Smooth
from jcnn.theory._mean_field import check_variances, slope_factor, variance_map


class Layer(NamedTuple):
    """One hidden layer: the variance of its pre-activations h, and its gradient factor.

    `gradient_factor` is |dL/dh| of the previous layer over |dL/dh| of this one,
    `sqrt(weight_variance E[f'(h)^2])` with h of the previous layer; 1 for the first layer.
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
    """Return the `depth` hidden layers of a wide network.

    `variance` is that of the first layer's pre-activations. All layers have the same width, and W
    is normal of variance `weight_variance / width`.

    Raises ValueError if a variance is negative or not finite, `depth` is below 1, or the variance
    overflows in some layer.

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
        previous = layers[-1].variance
        factor = math.sqrt(slope_factor(smooth, weight_variance, previous))
        layers.append(Layer(variance_map(smooth, previous, weight_variance, bias_variance), factor))
    return layers


def gradient_ratio(layers: list[Layer]) -> float:
    """Return |dL/dh| of the first layer over that of the last; below 1 if gradients vanish.

    >>> import jax
    >>> round(gradient_ratio(propagate(jax.nn.relu, 11, weight_variance=1.0)), 6)  # 2^-5
    0.03125
    """
    return math.prod(layer.gradient_factor for layer in layers)
