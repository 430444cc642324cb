"""Gaussian averages of an activation and its derivatives, in float64."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Function = Callable[..., Array]

# Panels of Gauss-Legendre nodes over +-12 standard deviations, with 0 on a border: kinks at 0 are
# integrated exactly, and others to the panel's width squared.
_PANELS, _NODES, _REACH = 400, 8, 12.0
# For pairs of Gaussians, a square of these.
_PAIR_PANELS, _PAIR_REACH = 48, 9.0


@dataclass(frozen=True)
class Smooth:
    """An elementwise function with its first two derivatives, evaluated in float64.

    Kinks have the derivative that JAX gives them. Raises ValueError for what is not elementwise or
    not finite where it is asked for.
    """

    function: Function

    def value(self, x: np.ndarray) -> np.ndarray:
        """f(x)."""
        return self._evaluated(self.function, x)

    def slope(self, x: np.ndarray) -> np.ndarray:
        """f'(x)."""
        return self._evaluated(jax.vmap(jax.grad(self.function)), x)

    def curvature(self, x: np.ndarray) -> np.ndarray:
        """f''(x); a kink's jump is not in it."""
        return self._evaluated(jax.vmap(jax.grad(jax.grad(self.function))), x)

    def _evaluated(self, function: Function, x: np.ndarray) -> np.ndarray:
        with jax.enable_x64(True):
            found = np.asarray(jax.jit(function)(jnp.asarray(x.reshape(-1), jnp.float64)))
        if found.shape != x.reshape(-1).shape:
            raise ValueError(f"an elementwise function is needed; this one gives {found.shape}")
        if not np.isfinite(found).all():
            at = x.reshape(-1)[~np.isfinite(found)][0]
            raise ValueError(f"the function or its derivative is not finite at {at:g}")
        return found.astype(np.float64).reshape(x.shape)


def expectation(function: Callable[[np.ndarray], np.ndarray], variance: float) -> float:
    """E f(x) for x normal with mean 0 and this variance."""
    z, weights = GRID
    return float(weights @ function(np.sqrt(variance) * z))


def pair_expectation(
    function: Callable[[np.ndarray], np.ndarray], variance: float, correlation: float
) -> float:
    """E f(x) f(y) for x, y normal with mean 0, this variance each and this correlation."""
    z, weights = PAIR_GRID
    scale = np.sqrt(variance)
    other = correlation * z[:, None] + np.sqrt(max(1 - correlation**2, 0.0)) * z[None, :]
    return float((weights * function(scale * z)) @ function(scale * other) @ weights)


def gain(function: Function) -> float:
    """What a layer's weights are multiplied by so that its activations keep variance 1.

    `Var[f(z)]^-1/2` for z standard normal (Brock et al. 2021): the signal is taken centred, which
    weight standardization or batch normalization sees to. `activations.facts` measures the same in
    float32.

    >>> import jax
    >>> round(gain(jax.nn.relu), 4)
    1.7129
    """
    variance = spread(Smooth(function))
    return float(variance**-0.5) if variance > 0 else float("inf")


def spread(smooth: Smooth) -> float:
    """`Var[f(z)]` for z standard normal."""
    mean = expectation(smooth.value, 1.0)
    return expectation(lambda x: (smooth.value(x) - mean) ** 2, 1.0)


def _panels(panels: int, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes, and weights that hold the standard normal density."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    edges = np.linspace(-reach, reach, panels + 1)
    half = (edges[1] - edges[0]) / 2
    z = ((edges[:-1] + half)[:, None] + half * nodes).reshape(-1)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return z, np.tile(half * weights, panels) * density


GRID = _panels(_PANELS, _REACH)
PAIR_GRID = _panels(_PAIR_PANELS, _PAIR_REACH)
