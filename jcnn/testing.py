"""Checks for layers and networks of your own, built on chex and `jax.test_util`."""

from collections.abc import Callable, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.test_util import check_grads

__all__ = [
    "assert_healthy",
    "assert_layer",
]


def assert_layer(
    layer: Callable[[Array], Array],
    x: Array,
    *,
    shape: tuple[int, ...] | None = None,
    batched: bool = True,
    gradients: bool = True,
    tolerance: float = 3e-2,
) -> None:
    """Check a layer (an `nnx.Module` or a pure function) on a small batch `x`.

    - The output has the dtype of `x`, and the shape `shape` if that is passed.
    - The output and the gradients for the input and every parameter are finite.
    - The gradients match numerical ones within `tolerance` (float32 or wider, forward and reverse
      mode). Choose `x` away from kinks (relu at 0), where numerical gradients differ.
    - `jit` agrees with eager execution, and a second call does not recompile.
    - A batch agrees with its examples one by one. Pass `batched=False` for layers that mix
      examples, such as batch normalization in training.

    Modules are checked in their current mode (train or eval), and their state does not change.

    Raises AssertionError that names the failed check, and ValueError if `x` is not a batch of
    floating dtype.

    >>> import jax, jax.numpy as jnp
    >>> assert_layer(jnp.tanh, jax.random.normal(jax.random.key(0), (2, 3)), shape=(2, 3))
    """
    if not jnp.issubdtype(x.dtype, jnp.floating) or x.size == 0 or x.ndim == 0:
        raise ValueError(
            f"x is {x.dtype} of shape {x.shape}; expected a floating batch of at least one example"
        )
    apply, params = _pure(layer)
    y = apply(params, x)
    if not isinstance(y, Array):
        raise AssertionError(f"output: the layer returned {type(y).__name__}; expected one array")
    if y.dtype != x.dtype:
        raise AssertionError(f"dtype: the input is {x.dtype} and the output {y.dtype}")
    if shape is not None:
        chex.assert_shape(y, shape)
    _check_finite("output", y)
    compiled = _check_compiled(apply, params, x, y)
    if batched:
        _check_batch(compiled, params, x, y)
    if gradients:
        _check_gradients(apply, params, x, tolerance)


def assert_healthy(model: Any, *batch: Any, allow: Sequence[str] = (), **options: Any) -> None:
    """Check that nothing is wrong with a network's signals and gradients on a batch.

    The arguments and further keywords are those of `jcnn.diagnose`: ``(model, x, labels)``, or
    ``(model, params, x, labels)``. `allow` are kinds of verdicts that are no failure, such as
    "dead" or "not seen".

    Raises AssertionError with the faults, where they start and what would help, and ValueError as
    `jcnn.diagnose` does.

    >>> from jcnn import models
    >>> model = models.mlp((16,), 4, hidden=(32, 32), rngs=nnx.Rngs(0))
    >>> assert_healthy(model, jax.random.normal(jax.random.key(0), (64, 16)), jnp.arange(64) % 4)
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    from jcnn.diagnosis import diagnose

    found = diagnose(model, *batch, **options)
    faults = [each for each in found.verdicts if each.kind not in allow]
    lines = [f"{each.kind} at {each.layer}: {each.sentence}" for each in faults]
    if faults and faults[0] is found.verdicts[0]:
        lines += found.remedies
    if found.unseen and "not seen" not in allow:
        lines.append(f"not seen: {', '.join(found.unseen)}")
    if lines:
        raise AssertionError("\n".join(lines))


def _pure(layer: Callable[[Array], Array]) -> tuple[Callable[[Any, Array], Array], Any]:
    if not isinstance(layer, nnx.Module):
        return (lambda _, x: layer(x)), {}
    graph, params, rest = nnx.split(layer, nnx.Param, ...)
    return (lambda p, x: nnx.merge(graph, p, rest, copy=True)(x)), params


def _check_compiled(
    apply: Callable[..., Array], params: Any, x: Array, y: Array
) -> Callable[..., Array]:
    """Return the compiled function, which the checks after this one call."""
    # Counted here, because chex counts traces by function over all calls of this check.
    traces = 0

    def counted(params: Any, x: Array) -> Array:
        nonlocal traces
        traces += 1
        return apply(params, x)

    compiled = jax.jit(counted)
    for _ in range(2):
        np.testing.assert_allclose(
            _float(compiled(params, x)), _float(y), rtol=1e-3, atol=_tolerance(x), err_msg="jit"
        )
    if traces > 1:
        raise AssertionError(f"the second call compiled again ({traces} traces)")
    return compiled


def _check_batch(apply: Callable[..., Array], params: Any, x: Array, y: Array) -> None:
    if y.shape[:1] != x.shape[:1]:
        raise AssertionError(f"batch: the output for {len(x)} examples has shape {y.shape}")
    for i in range(len(x)):
        alone = apply(params, x[i : i + 1])
        np.testing.assert_allclose(
            _float(alone),
            _float(y[i : i + 1]),
            rtol=1e-4,
            atol=_tolerance(x),
            err_msg=f"batch: example {i} alone differs; if dropout or batch normalization is in "
            "training mode, call layer.eval() first or pass batched=False",
        )


def _check_gradients(apply: Callable[..., Array], params: Any, x: Array, tolerance: float) -> None:
    @jax.jit  # otherwise every operation and its derivatives are compiled one by one
    def total(params: Any, x: Any) -> Array:
        y = apply(jax.tree.map(jnp.asarray, params), jnp.asarray(x))
        return jnp.sum(jnp.sin(y.astype(jnp.float32)))

    for_params, for_x = jax.grad(total, argnums=(0, 1))(params, x)
    _check_finite("gradient for the input", for_x)
    _check_finite("gradient for the parameters", for_params)
    if x.dtype.itemsize >= 4:
        try:
            check_grads(total, (params, x), order=1, atol=tolerance, rtol=tolerance, eps=3e-3)
        except AssertionError as error:
            raise AssertionError(
                "gradient: it differs from the numerical one; at a kink (relu at 0) that is not a "
                f"defect: choose x away from kinks\n{error}"
            ) from error


def _check_finite(name: str, values: Any) -> None:
    for path, leaf in jax.tree.leaves_with_path(values):
        if not jnp.isfinite(leaf).all():
            raise AssertionError(f"{name}{jax.tree_util.keystr(path)}: expected finite values")


def _float(value: Array) -> np.ndarray:
    return np.asarray(value.astype(jnp.float32) if value.dtype.itemsize < 4 else value)


def _tolerance(x: Array) -> float:
    return 1e-5 if x.dtype.itemsize >= 4 else 2e-2


def __dir__() -> list[str]:
    return __all__
