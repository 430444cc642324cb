"""What batch normalization does to gradients at initialization (Yang et al. 2019)."""

import math

from jcnn.quadrature import Function, Smooth, expectation, output_moments


def batch_norm_gradient_growth(function: Function) -> float:
    """The factor by which a wide layer with batch normalization multiplies the gradient's norm.

    `sqrt(E[f'(z)^2] / Var[f(z)])` for z standard normal, each layer from the last to the first,
    whatever the weights' scale: about 1.211 for relu, so that depth itself makes gradients explode.
    Raises ValueError for a constant.

    >>> import jax
    >>> round(batch_norm_gradient_growth(jax.nn.relu), 4)
    1.2112
    """
    smooth = Smooth(function)
    variance = output_moments(function)[1]
    if variance <= 0:
        raise ValueError("a constant function has no gradient to grow")
    return math.sqrt(expectation(lambda x: smooth.slope(x) ** 2, 1.0) / variance)
