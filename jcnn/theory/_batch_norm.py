"""The effect of batch normalization on gradients at initialization (Yang et al. 2019)."""

import math

from jcnn.quadrature import Function, Smooth, expectation, output_moments


def batch_norm_gradient_growth(function: Function) -> float:
    """Return the factor by which the gradient's norm grows per layer with batch normalization.

    `sqrt(E[f'(z)^2] / Var[f(z)])` for z standard normal, in the limit of infinite width and for any
    scale of the weights. It is about 1.211 for relu, so gradients explode with depth. Raises
    ValueError for a constant function.

    >>> import jax
    >>> round(batch_norm_gradient_growth(jax.nn.relu), 4)
    1.2112
    """
    smooth = Smooth(function)
    variance = output_moments(function)[1]
    if variance <= 0:
        raise ValueError("a constant function has zero gradient; expected one that varies")
    return math.sqrt(expectation(lambda x: smooth.slope(x) ** 2, 1.0) / variance)
