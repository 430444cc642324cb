"""Gaussian averages of an activation and its derivatives, in float64."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Function = Callable[..., Array]

# Panels of Gauss-Legendre nodes over +-12 standard deviations, with 0 on an edge: kinks at 0 are
# integrated exactly, and others to the panel's width squared.
_PANELS, _NODES, _REACH = 400, 8, 12.0
# For pairs of Gaussians, a square grid of these.
_PAIR_PANELS, _PAIR_REACH = 48, 9.0


@dataclass(frozen=True)
class Smooth:
    """An elementwise function and its first two derivatives, evaluated in float64.

    Kinks have the derivative that JAX defines there. Raises ValueError if the function is not
    elementwise or not finite at a requested point.
    """

    function: Function

    def value(self, x: np.ndarray) -> np.ndarray:
        """f(x)."""
        return self._evaluate(0, x)

    def slope(self, x: np.ndarray) -> np.ndarray:
        """f'(x)."""
        return self._evaluate(1, x)

    def curvature(self, x: np.ndarray) -> np.ndarray:
        """f''(x), without the jump of f' at a kink."""
        return self._evaluate(2, x)

    def _evaluate(self, order: int, x: np.ndarray) -> np.ndarray:
        flat = x.reshape(-1)
        with jax.enable_x64(True):
            values = np.asarray(self._derivatives[order](jnp.asarray(flat, jnp.float64)))
        if values.shape != flat.shape:
            raise ValueError(
                f"expected an elementwise function; this one returns shape {values.shape} for "
                f"shape {flat.shape}"
            )
        if not np.isfinite(values).all():
            at = flat[~np.isfinite(values)][0]
            raise ValueError(f"the function or its derivative is not finite at {at:g}")
        return values.astype(np.float64).reshape(x.shape)

    @cached_property
    def _derivatives(self) -> tuple[Function, ...]:
        try:
            return _compiled_derivatives(self.function)
        except TypeError:  # not hashable, which a partial is
            return _compiled_derivatives(partial(self.function))


@lru_cache(maxsize=64)
def _compiled_derivatives(function: Function) -> tuple[Function, ...]:
    """f, f' and f'', each compiled once however often the function is integrated."""
    slope = jax.grad(function)
    return jax.jit(function), jax.jit(jax.vmap(slope)), jax.jit(jax.vmap(jax.grad(slope)))


def expectation(function: Callable[[np.ndarray], np.ndarray], variance: float) -> float:
    """Return E f(x) for x normal with mean 0 and this variance.

    >>> round(expectation(np.square, 2.0), 12)
    2.0
    """
    z, weights = GRID
    return float(weights @ function(np.sqrt(variance) * z))


def pair_expectation(
    function: Callable[[np.ndarray], np.ndarray], variance: float, correlation: float
) -> float:
    """Return E f(x) f(y) for x, y normal with mean 0, this variance and this correlation.

    >>> round(pair_expectation(lambda x: x, 2.0, 0.5), 12)
    1.0
    """
    z, weights = PAIR_GRID
    scale = np.sqrt(variance)
    other = correlation * z[:, None] + np.sqrt(max(1 - correlation**2, 0.0)) * z[None, :]
    return float((weights * function(scale * z)) @ function(scale * other) @ weights)


def output_moments(function: Function) -> tuple[float, float]:
    """Return mean and variance of f(z) for z standard normal; the variance of a constant is 0.

    >>> [round(moment, 4) for moment in output_moments(jax.nn.relu)]
    [0.3989, 0.3408]
    """
    z, weights = GRID
    values = Smooth(function).value(z)
    mean = float(weights @ values)
    # Exactly 0 for a constant, although its mean is rounded.
    varies = values.min() < values.max()
    return mean, float(weights @ (values - mean) ** 2) if varies else 0.0


def _panels(panels: int, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes, and weights that include the standard normal density."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    edges = np.linspace(-reach, reach, panels + 1)
    half = (edges[1] - edges[0]) / 2
    z = ((edges[:-1] + half)[:, None] + half * nodes).reshape(-1)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return z, np.tile(half * weights, panels) * density


GRID = _panels(_PANELS, _REACH)
PAIR_GRID = _panels(_PAIR_PANELS, _PAIR_REACH)
