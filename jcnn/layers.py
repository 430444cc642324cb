"""Thin Flax NNX modules: parameters, and a call to one of jcnn's pure functions.

Normalization modules are Flax's own, made to keep the dtype of their input; the factories here fix
what a convolutional network needs (`batch_norm` averages over 10 steps, not 100; `group_norm` finds
a group count that divides).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import activations, convolution, initializers, pooling
from jcnn import dense as dense_function
from jcnn.arguments import floating, window_sizes

Initializer = Callable[..., Array]
Normalization = Callable[..., Callable[[Array], Array]]


class Conv(nnx.Module):
    """Convolution of `(*batch, *spatial, in_features)`; see `jcnn.convolution.conv`.

    `kernel` is `(*window_shape, in_features // groups, out_features)`, `bias` is `(out_features,)`.
    Input and parameters are cast to `dtype` for the computation (mixed precision), by default the
    floating dtype of the input; parameters are kept in `param_dtype`.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> Conv(1, 16, (3, 3), rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 1))).shape
    (2, 8, 8, 16)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        window_shape: Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        padding: str | Sequence[tuple[int, int]] = "SAME",
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        use_bias: bool = True,
        kernel_init: Initializer = initializers.he_normal,
        bias_init: Initializer = initializers.zeros,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if groups < 1 or in_features % groups:
            raise ValueError(f"groups={groups} must be positive and divide {in_features=}")
        window = window_sizes("window_shape", window_shape)
        shape = (*window, in_features // groups, out_features)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, param_dtype))
        self.bias = _bias(bias_init, out_features, param_dtype, rngs) if use_bias else None
        self.strides = strides
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        self.dtype = dtype

    def __call__(self, x: Array) -> Array:
        """Convolve `x`."""
        x, kernel, bias = _cast(self.dtype, x, self.kernel, self.bias)
        return convolution.conv(
            x,
            kernel,
            bias,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )


class Dense(nnx.Module):
    """`x @ kernel + bias` over the last axis; see `jcnn.dense.dense`, and `Conv` for dtypes."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        use_bias: bool = True,
        kernel_init: Initializer = initializers.he_normal,
        bias_init: Initializer = initializers.zeros,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.kernel = nnx.Param(
            kernel_init(rngs.params(), (in_features, out_features), param_dtype)
        )
        self.bias = _bias(bias_init, out_features, param_dtype, rngs) if use_bias else None
        self.dtype = dtype

    def __call__(self, x: Array) -> Array:
        """Multiply `x` by the kernel and add the bias."""
        return dense_function.dense(*_cast(self.dtype, x, self.kernel, self.bias))


class Learned:
    """A function of which some arguments are parameters, as an activation or pooling of a layer.

    `initial` maps an argument to its first value, or to a function of the pooling window's shape.
    Each layer learns values of its own; called directly, the function has the initial ones.

    >>> import jax.numpy as jnp
    >>> from jcnn import activations
    >>> layer = Activation(Learned(activations.prelu, slope=0.25))
    >>> float(layer.parameters["slope"]), layer(jnp.array([-4.0, 2.0])).tolist()
    (0.25, [-1.0, 2.0])
    """

    def __init__(self, function: Callable[..., Array], **initial: Any) -> None:
        self.function = function
        self.initial = initial

    def values(self, *window_shape: Sequence[int]) -> dict[str, Array]:
        """The initial values, float32."""
        return {
            name: jnp.asarray(value(*window_shape) if callable(value) else value, jnp.float32)
            for name, value in self.initial.items()
        }

    def __call__(self, x: Array, *arguments: Any) -> Array:
        """The function with its initial values; the first of `arguments` is a window's shape."""
        return self.function(x, *arguments, **self.values(*arguments[:1]))


# He et al. 2015: one slope a layer. Lee et al. 2016: one share of the maximum a layer. Radenovic
# et al. 2019: one power a layer. Weights start as the centre-weighted Gaussian.
learned_prelu = Learned(activations.prelu, slope=0.25)
learned_mixed_pool = Learned(pooling.mixed_pool, alpha=0.5)
learned_gem_pool = Learned(pooling.gem_pool, p=3.0)
learned_weighted_avg_pool = Learned(pooling.weighted_avg_pool, weights=pooling.gaussian_weights)


class Pool(nnx.Module):
    """One pooling function, or a `Learned` one, with its window; `strides` default to the window.

    >>> import jax.numpy as jnp
    >>> Pool(learned_weighted_avg_pool, (2, 2))(jnp.ones((1, 4, 4, 3))).shape
    (1, 2, 2, 3)
    """

    def __init__(
        self,
        pooling: Callable[..., Array],
        window_shape: Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str | Sequence[tuple[int, int]] = "VALID",
    ) -> None:
        self.window_shape = window_sizes("window_shape", window_shape)
        self.pooling, self.parameters = _parameters(pooling, self.window_shape)
        self.strides = strides
        self.padding = padding

    def __call__(self, x: Array) -> Array:
        """Pool the spatial axes of `x`."""
        learned = {name: value[...] for name, value in self.parameters.items()}
        return self.pooling(x, self.window_shape, self.strides, self.padding, **learned)


class Activation(nnx.Module):
    """An elementwise function, or a `Learned` one, as a layer."""

    def __init__(self, function: Callable[..., Array]) -> None:
        self.function, self.parameters = _parameters(function)

    def __call__(self, x: Array) -> Array:
        """Apply the function."""
        return self.function(x, **{name: value[...] for name, value in self.parameters.items()})


class Flatten(nnx.Module):
    """Collapse the axes of each example into one; see `jcnn.dense.flatten`."""

    def __init__(self, start: int = 1) -> None:
        self.start = start

    def __call__(self, x: Array) -> Array:
        """Collapse the axes from `start` on."""
        return dense_function.flatten(x, start=self.start)


class Dropout(nnx.Dropout):
    """Flax's dropout: zero with probability `rate` in training, scale the rest by 1/(1-rate)."""


class Sequential(nnx.Module):
    """Named layers applied in order, which also returns what each of them gave.

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> net = Sequential(dense=Dense(3, 2, rngs=nnx.Rngs(0)), activation=Activation(jnp.tanh))
    >>> y, intermediates = net.intermediates(jnp.ones((4, 3)))
    >>> list(intermediates), y.shape
    (['dense', 'activation'], (4, 2))
    """

    def __init__(self, **layers: Callable[[Array], Array]) -> None:
        self.names = tuple(layers)
        for name, layer in layers.items():
            if hasattr(self, name):  # an attribute of every nnx.Module, such as train
                raise ValueError(f"a layer cannot be called {name!r}; choose another name")
            setattr(self, name, layer)

    def __call__(self, x: Array) -> Array:
        """Apply every layer in order."""
        return self.intermediates(x)[0]

    def intermediates(self, x: Array) -> tuple[Array, dict[str, Array]]:
        """Apply every layer, and return `(output, {name: output of that layer})`."""
        values = {}
        for name in self.names:
            x = values[name] = getattr(self, name)(x)
        return x, values


class _SameDtype:
    """Half precision is normalized in float32 and comes back in its own dtype."""

    def __call__(self, x: Array, **options: Any) -> Array:
        x = floating(x)
        wide = x.astype(jnp.float32) if x.dtype.itemsize < 4 else x
        y: Array = super().__call__(wide, **options)
        return y.astype(x.dtype)


class BatchNorm(_SameDtype, nnx.BatchNorm):
    """Flax's batch normalization, dtype in, dtype out."""


class LayerNorm(_SameDtype, nnx.LayerNorm):
    """Flax's layer normalization, dtype in, dtype out."""


class RMSNorm(_SameDtype, nnx.RMSNorm):
    """Flax's root-mean-square normalization, dtype in, dtype out."""


class GroupNorm(_SameDtype, nnx.GroupNorm):
    """Flax's group normalization, dtype in, dtype out."""


class InstanceNorm(_SameDtype, nnx.InstanceNorm):
    """Normalization of each channel of each example over its spatial axes.

    An input `(batch, features)` has no spatial axes to normalize over and comes back unchanged.
    """

    def __call__(self, x: Array, **options: Any) -> Array:
        """Normalize `x`."""
        return floating(x) if x.ndim == 2 else super().__call__(x, **options)


def batch_norm(num_features: int, *, rngs: nnx.Rngs) -> BatchNorm:
    """Batch normalization whose running statistics average over about ten steps."""
    return BatchNorm(num_features, momentum=0.9, rngs=rngs)


def layer_norm(num_features: int, *, rngs: nnx.Rngs) -> LayerNorm:
    """Normalization of each position over its channels."""
    return LayerNorm(num_features, rngs=rngs)


def rms_norm(num_features: int, *, rngs: nnx.Rngs) -> RMSNorm:
    """Division of each position by the root mean square of its channels."""
    return RMSNorm(num_features, rngs=rngs)


def group_norm(num_features: int, *, rngs: nnx.Rngs) -> GroupNorm:
    """Group normalization with the most groups, at most 8, of two or more channels each.

    One group where none fits. (Groups of one channel would turn dense features into zeros, and on
    images be instance normalization.)
    """
    divisors = (n for n in range(1, 9) if num_features % n == 0 and num_features >= 2 * n)
    return GroupNorm(num_features, num_groups=max(divisors, default=1), rngs=rngs)


def instance_norm(num_features: int, *, rngs: nnx.Rngs) -> InstanceNorm:
    """Instance normalization; see `InstanceNorm`."""
    return InstanceNorm(num_features, rngs=rngs)


def _parameters(
    function: Callable[..., Array], *window_shape: Sequence[int]
) -> tuple[Callable[..., Array], Any]:
    """The function to call, and an `nnx.Dict` of what it learns."""
    if not isinstance(function, Learned):
        return function, nnx.Dict()
    values = function.values(*window_shape)
    return function.function, nnx.Dict({name: nnx.Param(v) for name, v in values.items()})


def _bias(init: Initializer, features: int, dtype: Any, rngs: nnx.Rngs) -> nnx.Param:
    return nnx.Param(init(rngs.params(), (features,), dtype))


def _cast(dtype: Any, x: Array, *parameters: Any) -> tuple[Any, ...]:
    """`x`, kernel and bias in `dtype`, or where that is None in the dtype of `x`."""
    dtype = floating(x).dtype if dtype is None else dtype
    values = [a[...] if isinstance(a, nnx.Variable) else a for a in (x, *parameters)]
    return tuple(None if value is None else jnp.asarray(value, dtype) for value in values)
