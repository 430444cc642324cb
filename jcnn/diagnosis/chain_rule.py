"""The chain rule in numbers: the factors that backpropagation multiplies, next to `jax.grad`."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jcnn.activations import facts

_GREATEST = float(jnp.finfo(jnp.float32).max)


class Factor(NamedTuple):
    """One factor of the chain: its symbol, the formula it stands for, and its value."""

    symbol: str
    formula: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The gradient of the first weight as a product of factors, from the loss down.

    `product` is the product of the `factors`, `gradient` what `jax.grad` returns for the same
    weight. `output` and `target` are the network's actual and desired output, `loss` is half their
    squared difference. `largest_slope` is the greatest |f'(x)| of the activation, and `bound` that
    to the power of `depth`: with weights of 1, no gradient is a larger share of the error.
    """

    factors: list[Factor]
    product: float
    gradient: float
    output: float
    target: float
    loss: float
    largest_slope: float
    bound: float


def chain_rule(
    activation: Callable[..., Array],
    *,
    depth: int = 3,
    weight: float = 1.0,
    x: float = 1.0,
    target: float = 1.0,
) -> Chain:
    """Return the chain rule through `depth` layers of one unit, `H_l = f(W_l H_(l-1))`, `H_0 = x`.

    The loss is `L = (O - target)^2 / 2` for the output `O = H_depth`, all weights are `weight`, and
    `dL/dW_1 = dL/dO x dO/dH_(depth-1) x ... x dH_1/dW_1`, where `dH_l/dH_(l-1) = f'(z_l) W_l` and
    `dH_1/dW_1 = f'(z_1) x`, with `z_l = W_l H_(l-1)`. Derivatives at kinks are JAX's.

    Raises ValueError for a depth below 1, numbers that are not finite, and an activation that
    is not elementwise.

    >>> import jax
    >>> chain = chain_rule(jax.nn.sigmoid, depth=10)
    >>> chain.bound < 1e-6, abs(chain.product / chain.gradient - 1) < 1e-5
    (True, True)
    """
    if depth < 1:
        raise ValueError(f"depth={depth}; expected at least 1 layer")
    for name, value in (("weight", weight), ("x", x), ("target", target)):
        if not abs(value) <= _GREATEST:
            raise ValueError(f"{name}={value!r}; expected a finite number of float32")
    slope = jax.grad(activation)
    largest = facts(activation).max_derivative
    signals = [jnp.float32(x)]
    sums = []
    for _ in range(depth):
        sums.append(jnp.float32(weight) * signals[-1])
        signals.append(activation(sums[-1]))
    output = float(signals[-1])
    factors = [Factor("dL/dO", "O - target", output - target)]
    for layer in range(depth, 1, -1):
        above = "O" if layer == depth else f"H{layer}"
        value = float(slope(sums[layer - 1])) * weight
        factors.append(Factor(f"d{above}/dH{layer - 1}", f"f'(z{layer}) W{layer}", value))
    first = "O" if depth == 1 else "H1"
    factors.append(Factor(f"d{first}/dW1", "f'(z1) x", float(slope(sums[0])) * x))

    def loss(weights: Array) -> Array:
        signal = jnp.float32(x)
        for layer in range(depth):
            signal = activation(weights[layer] * signal)
        return (signal - jnp.float32(target)) ** 2 / 2

    weights = jnp.full(depth, weight, jnp.float32)
    return Chain(
        factors=factors,
        product=math.prod(factor.value for factor in factors),
        gradient=float(jax.grad(loss)(weights)[0]),
        output=output,
        target=target,
        loss=float(loss(weights)),
        largest_slope=largest,
        bound=largest**depth,
    )
