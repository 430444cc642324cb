"""Singular values of Jacobians: exact if they are small, else by products with vectors."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.tracing import Var, equations_between, evaluate, read, run_equations, trace

# The whole Jacobian is built if its smaller side is at most this long.
EXACT = 1024
# Examples in the batch; the Jacobian is that of the first.
_EXAMPLES = 16
_PRODUCTS = 32


@dataclass(frozen=True, kw_only=True)
class SingularValues:
    """Singular values of a Jacobian: extremes, mean, root mean square, and largest over smallest.

    If the smaller side of the Jacobian has more than `EXACT` entries, `exact` is false: `largest`
    is from Lanczos iteration (ARPACK), `root_mean_square` from products with random vectors, and
    the rest is NaN.
    """

    largest: float
    smallest: float
    mean: float
    root_mean_square: float
    condition: float
    exact: bool


def layer_singular_values(model: nnx.Module, x: Any) -> Sequence[SingularValues | None]:
    """Return those of d output / d input of each layer, for the first example of `x`.

    None stands for a layer whose inputs are integers. The other examples keep their values, which
    matters if a normalization averages over them.
    """
    x = jax.tree.map(lambda array: array[:_EXAMPLES], x)
    traced = trace(model, x)

    @jax.jit
    def evaluate_all(leaves: Sequence[Any], x: Any) -> dict[Var, Any]:
        return evaluate(traced.program, [*leaves, *jax.tree.leaves(x)])

    values = evaluate_all(traced.leaves, x)
    results: list[SingularValues | None] = []
    for layer in traced.layers:
        if not jnp.issubdtype(values[layer.input].dtype, jnp.floating):
            results.append(None)
            continue
        equations = equations_between(traced.program, layer.input, layer.output)

        def first_output(
            example: Array,
            equations: Any = equations,
            start: Var = layer.input,
            stop: Var = layer.output,
        ) -> Array:
            changed = {**values, start: values[start].at[0].set(example)}
            output: Array = run_equations(equations, changed)[stop]
            return output[0]

        results.append(singular_values(first_output, values[layer.input][0]))
    return results


def model_singular_values(model: nnx.Module, x: Any) -> SingularValues | None:
    """Return those of d outputs / d x of the whole model, for the first example.

    None unless `x` is one array of floating numbers, and the model returns one array.
    """
    if not isinstance(x, Array) or not jnp.issubdtype(x.dtype, jnp.floating):
        return None
    x = x[:_EXAMPLES]
    traced = trace(model, x)
    if not traced.is_single_output:
        return None

    def first_output(example: Array) -> Array:
        values = evaluate(traced.program, [*traced.leaves, x.at[0].set(example)])
        return read(values, traced.program.outputs[0])[0]

    return singular_values(first_output, x[0])


def singular_values(function: Callable[[Array], Array], x: Array) -> SingularValues:
    """Return the singular values of the Jacobian of `function` at `x`.

    >>> import jax.numpy as jnp
    >>> values = singular_values(lambda x: jnp.array([3.0, 4.0]) * x, jnp.ones(2))
    >>> round(values.condition, 4), values.exact
    (1.3333, True)
    """
    x = x.astype(jnp.float32)
    shape = jax.eval_shape(function, x).shape
    inputs, outputs = math.prod(x.shape), math.prod(shape)
    flat, pullback = jax.vjp(lambda z: function(z.reshape(x.shape)).reshape(-1), x.ravel())

    def back(u: Array) -> Array:
        product: Array = pullback(u)[0]
        return product

    # The forward product as a transpose: functions with a `custom_vjp` have no other.
    transpose = jax.linear_transpose(back, flat)

    def forward(v: Array) -> Array:
        product: Array = transpose(v)[0]
        return product

    if min(inputs, outputs) > EXACT:
        return _by_products(jax.jit(forward), jax.jit(back), inputs, outputs)
    product, size = (forward, inputs) if inputs <= outputs else (back, outputs)
    columns = jax.jit(lambda basis: jax.lax.map(product, basis, batch_size=64))(jnp.eye(size))
    values = np.linalg.svd(np.asarray(columns, np.float64), compute_uv=False)
    largest, smallest = float(values[0]), float(values[-1])
    return SingularValues(
        largest=largest,
        smallest=smallest,
        mean=float(values.mean()),
        root_mean_square=float(np.sqrt((values**2).mean())),
        condition=largest / smallest if smallest else math.inf,
        exact=True,
    )


def _by_products(
    forward: Callable[[Array], Array], back: Callable[[Array], Array], inputs: int, outputs: int
) -> SingularValues:
    from scipy.sparse.linalg import LinearOperator, svds

    def product(function: Callable[[Array], Array]) -> Callable[[np.ndarray], np.ndarray]:
        return lambda u: np.asarray(function(jnp.asarray(u.ravel(), jnp.float32)), np.float32)

    operator = LinearOperator(
        (outputs, inputs), matvec=product(forward), rmatvec=product(back), dtype=np.float32
    )
    rng = np.random.default_rng(0)
    start = rng.normal(size=min(inputs, outputs)).astype(np.float32)
    (largest,) = svds(operator, k=1, v0=start, return_singular_vectors=False)
    # E |J u|^2 is the sum of the squared singular values, if u has standard normal entries.
    draws = [np.sum(operator.matvec(rng.normal(size=inputs)) ** 2) for _ in range(_PRODUCTS)]
    mean_square = float(np.mean(draws)) / min(inputs, outputs)
    return SingularValues(
        largest=float(largest),
        smallest=math.nan,
        mean=math.nan,
        root_mean_square=math.sqrt(mean_square),
        condition=math.nan,
        exact=False,
    )
