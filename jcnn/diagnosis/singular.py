"""Singular values of Jacobians: exact where they are small, by products with them where not."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.tracing.blocks import trace
from jcnn.tracing.program import between, evaluate, read, run

# Up to this many values the whole Jacobian is built.
EXACT = 1024
# Examples that the layer sees; the Jacobian is that of the first.
_EXAMPLES = 16
_PRODUCTS = 32


class Singular(NamedTuple):
    """Singular values of a Jacobian: the extremes, mean, root mean square, and their ratio.

    Where the smaller side has more than `EXACT` entries, `largest` is Lanczos's (ARPACK),
    `root_mean_square` from products with random vectors, and the rest NaN.
    """

    largest: float
    smallest: float
    mean: float
    root_mean_square: float
    condition: float
    exact: bool


def block_singular_values(model: nnx.Module, x: Array) -> Sequence[Singular]:
    """Those of d output / d input of each block, for the first example of `x`.

    The other examples keep their values, which matters where a normalization averages over them.
    """
    x = x[:_EXAMPLES]
    traced = trace(model, x)
    values = jax.jit(lambda leaves, x: evaluate(traced.program, [*leaves, x]))(traced.leaves, x)
    found = []
    for block in traced.blocks:
        needed = between(traced.program, block.input, block.output)

        def of_first(
            one: Array, needed: Any = needed, start: int = block.input, stop: int = block.output
        ) -> Array:
            known = values | {start: values[start].at[0].set(one)}
            for equation in needed:
                given = [read(known, atom) for atom in equation.inputs]
                known |= dict(zip(equation.outputs, run(equation, given), strict=True))
            return known[stop][0]

        found.append(singular_values(of_first, values[block.input][0]))
    return found


def model_singular_values(model: nnx.Module, x: Array) -> Singular:
    """Those of d outputs / d x of the whole model, for the first example."""
    x = x[:_EXAMPLES]
    traced = trace(model, x)

    def of_first(one: Array) -> Array:
        values = evaluate(traced.program, [*traced.leaves, x.at[0].set(one)])
        return read(values, traced.program.outputs[0])[0]

    return singular_values(of_first, x[0])


def singular_values(function: Callable[[Array], Array], x: Array) -> Singular:
    """Those of the Jacobian of `function` at `x`.

    >>> import jax.numpy as jnp
    >>> found = singular_values(lambda x: jnp.array([3.0, 4.0]) * x, jnp.ones(2))
    >>> round(found.condition, 4), found.exact
    (1.3333, True)
    """
    x = x.astype(jnp.float32)
    shape = jax.eval_shape(function, x).shape
    inputs, outputs = math.prod(x.shape), math.prod(shape)
    _, forward = jax.linearize(lambda flat: function(flat.reshape(x.shape)).reshape(-1), x.ravel())
    _, back = jax.vjp(lambda flat: function(flat.reshape(x.shape)).reshape(-1), x.ravel())
    if min(inputs, outputs) > EXACT:
        return _by_products(jax.jit(forward), jax.jit(lambda u: back(u)[0]), inputs, outputs)
    one_side, size = (forward, inputs) if inputs <= outputs else (lambda u: back(u)[0], outputs)
    columns = jax.jit(lambda basis: jax.lax.map(one_side, basis, batch_size=64))(jnp.eye(size))
    found = np.linalg.svd(np.asarray(columns, np.float64), compute_uv=False)
    largest, smallest = float(found[0]), float(found[-1])
    return Singular(
        largest,
        smallest,
        float(found.mean()),
        float(np.sqrt((found**2).mean())),
        largest / smallest if smallest else math.inf,
        True,
    )


def _by_products(
    forward: Callable[[Array], Array], back: Callable[[Array], Array], inputs: int, outputs: int
) -> Singular:
    from scipy.sparse.linalg import LinearOperator, svds

    def product(function: Callable[[Array], Array]) -> Callable[[np.ndarray], np.ndarray]:
        return lambda u: np.asarray(function(jnp.asarray(u.ravel(), jnp.float32)), np.float32)

    operator = LinearOperator(
        (outputs, inputs), matvec=product(forward), rmatvec=product(back), dtype=np.float32
    )
    rng = np.random.default_rng(0)
    start = rng.normal(size=min(inputs, outputs)).astype(np.float32)
    (largest,) = svds(operator, k=1, v0=start, return_singular_vectors=False)
    # E |J u|^2 is the sum of the squares, for u of independent standard normal entries.
    draws = [np.sum(operator.matvec(rng.normal(size=inputs)) ** 2) for _ in range(_PRODUCTS)]
    mean_square = float(np.mean(draws)) / min(inputs, outputs)
    nan = math.nan
    return Singular(float(largest), nan, nan, math.sqrt(mean_square), nan, False)
