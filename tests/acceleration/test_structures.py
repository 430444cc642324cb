"""Convolutions inside other functions: loops, branches, jit, remat, custom rules, shard_map."""

import functools
import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec

from jcnn import accelerate

NUMBERS = ("NHWC", "HWIO", "NHWC")
X = jax.random.normal(jax.random.key(0), (4, 6, 6, 2))
KERNEL = jax.random.normal(jax.random.key(1), (3, 3, 2, 2)) / 4


def conv(x, kernel):
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=NUMBERS)


def pooled(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 1, 1, 1), "SAME")


def jitted(x, kernel):
    return jax.jit(conv)(x, kernel) + jax.jit(lambda x: conv(x, kernel))(x)


def scanned(x, kernel):
    def step(carry, scale):
        y = jnp.tanh(pooled(conv(carry, kernel * scale)))
        return y, (y.sum(), scale)

    y, (sums, scales) = lax.scan(step, x, jnp.arange(3.0) / 4, reverse=True, unroll=2)
    return y + sums[1] + scales[2]


def looped(x, kernel):
    body = lambda state: (state[0] + 1, jnp.tanh(conv(state[1], kernel)))  # noqa: E731
    far = lambda state: (state[0] < 3) & (conv(state[1], kernel).sum() < 1e6)  # noqa: E731
    return lax.while_loop(far, body, (0, x))[1]


def branched(x, kernel):
    index = jnp.int32(x[0, 0, 0, 0] > 100) + 1
    parts = [lambda x: x, lambda x: conv(x, kernel), lambda x: pooled(x) * 2]
    chosen = lax.switch(index, parts, x)
    return lax.cond(x.sum() > 1e9, lambda x: x, lambda x: conv(x, kernel), chosen)


def rematerialized(x, kernel):
    return jax.checkpoint(lambda x: jnp.tanh(conv(jnp.tanh(conv(x, kernel)), kernel)))(x)


def rematerialized_but_products(x, kernel):
    policy = jax.checkpoint_policies.dots_saveable
    return jax.checkpoint(lambda x: jnp.tanh(conv(x, kernel)), policy=policy, prevent_cse=False)(x)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def doubled_forwards(x, kernel, factor):
    return factor * conv(x, kernel)


@doubled_forwards.defjvp
def _(factor, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    return doubled_forwards(x, kernel, factor), 2 * (conv(dx, kernel) + conv(x, dkernel))


def with_a_forward_rule(x, kernel):
    return doubled_forwards(x, kernel, 3.0)


@jax.custom_vjp
def tripled_backwards(x, kernel, times):
    return conv(x, kernel) * times


def forward(x, kernel, times):
    return tripled_backwards(x, kernel, times), (x, kernel)


def backward(kept, cotangent):
    x, kernel = kept
    dx, dkernel = jax.vjp(conv, x, kernel)[1](3 * cotangent)
    return dx, dkernel, None


tripled_backwards.defvjp(forward, backward)


def with_a_backward_rule(x, kernel):
    return tripled_backwards(x, kernel, jnp.int32(2).astype(jnp.float32)) + jax.nn.relu(x)


def sharded(x, kernel):
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    examples, whole = PartitionSpec("batch"), PartitionSpec()

    def part(x, kernel):
        return lax.pmean(conv(x, kernel), "batch"), conv(x, kernel)

    mean, each = jax.shard_map(
        part, mesh=mesh, in_specs=(examples, whole), out_specs=(whole, examples)
    )(x, kernel)
    return mean + each


def with_its_own_gradient(x, kernel):
    """As in a training step: the gradients are in the function that is accelerated."""
    loss = lambda x, kernel: (jnp.tanh(pooled(conv(x, kernel))) ** 2).sum()  # noqa: E731
    dx, dkernel = jax.grad(loss, argnums=(0, 1))(x, kernel)
    forward = jax.jvp(loss, (x, kernel), (x, kernel))[1]
    return dx + dkernel.sum() + forward


def with_its_own_rematerialized_gradient(x, kernel):
    return jax.grad(lambda x: (rematerialized(x, kernel) ** 2).sum())(x)


def mapped(x, kernel):
    kernels = jnp.stack([kernel, -2 * kernel])
    each = jax.vmap(conv, (None, 0))(x, kernels) + jax.vmap(conv, (0, 0))(
        jnp.stack([x, x]), kernels
    )
    return each.sum(0) + jax.vmap(lambda x: pooled(x[None])[0])(x)


FUNCTIONS = [
    jitted,
    scanned,
    looped,
    branched,
    rematerialized,
    rematerialized_but_products,
    with_a_forward_rule,
    with_a_backward_rule,
    sharded,
    with_its_own_gradient,
    with_its_own_rematerialized_gradient,
    mapped,
]
NOT_BACKWARDS = [looped]
NOT_FORWARDS = [with_a_backward_rule]


def assert_close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        scale = max(float(jnp.max(jnp.abs(b))), 1.0)
        np.testing.assert_allclose(a / scale, b / scale, atol=2e-4)


def derivatives(function):
    def loss(x, kernel):
        return (jnp.cos(function(x, kernel)) * x).sum()

    modes = {"value": function}
    if function.__name__ not in [f.__name__ for f in NOT_BACKWARDS]:
        modes["gradient"] = jax.value_and_grad(loss, argnums=(0, 1))
        if function.__name__ not in [f.__name__ for f in NOT_FORWARDS]:
            modes["second"] = lambda x, k: jax.jvp(jax.grad(loss), (x, k), (k.sum() * x, k))
    if function.__name__ not in [f.__name__ for f in NOT_FORWARDS]:
        modes["forward"] = lambda x, k: jax.jvp(function, (x, k), (jnp.cos(x), jnp.sin(k)))
    modes["mapped"] = jax.vmap(function, (None, 0))
    return modes


@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_and_derivatives(function):
    ours, plain = derivatives(accelerate(function)), derivatives(function)
    assert ours.keys() == plain.keys()

    def all_of(modes):
        kernels = jnp.stack([KERNEL, KERNEL / 2])
        return jax.jit(
            lambda x, k, ks: {n: f(x, ks if n == "mapped" else k) for n, f in modes.items()}
        )(X, KERNEL, kernels)

    if function is sharded:  # an array without a mesh cannot be mapped over one with an axis
        ours.pop("mapped"), plain.pop("mapped")
    assert_close(all_of(ours), all_of(plain))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_left(function):
    text = str(jax.make_jaxpr(accelerate(function))(X, KERNEL))
    assert "jcnn_conv" in text
    assert not re.search(r"conv_general_dilated|reduce_window|select_and", text)


def test_structure_is_kept():
    names = {
        scanned: "scan",
        looped: "while",
        branched: "cond",
        rematerialized: "remat2|checkpoint",
        with_a_forward_rule: "custom_jvp_call",
        with_a_backward_rule: "custom_vjp_call",
        sharded: "shard_map",
        jitted: "name=conv",
    }
    for function, name in names.items():
        text = str(jax.make_jaxpr(accelerate(function))(X, KERNEL))
        assert len(re.findall(name, text)) >= 1, name
    (loop,) = [
        equation
        for equation in jax.make_jaxpr(accelerate(scanned))(X, KERNEL).eqns
        if equation.primitive.name == "scan"
    ]
    assert (loop.params["reverse"], loop.params["unroll"]) == (True, 2)


def test_a_policy_sees_convolutions():
    """What `dots_saveable` keeps is not computed again."""

    def convolutions(function):
        text = str(jax.make_jaxpr(jax.grad(lambda x: accelerate(function)(x, KERNEL).sum()))(X))
        return len(re.findall(r"jcnn_conv", text))

    assert convolutions(rematerialized_but_products) == 2  # forwards, and backwards
    assert convolutions(rematerialized) == 6  # two forwards, again, and backwards


def test_without_jit():
    for function in (jitted, scanned, with_a_forward_rule, with_a_backward_rule, rematerialized):
        assert_close(accelerate(function)(X, KERNEL), function(X, KERNEL))
        gradient = jax.grad(lambda x, f=function: f(x, KERNEL).sum())(X)
        ours = jax.grad(lambda x, f=function: accelerate(f)(x, KERNEL).sum())(X)
        assert_close(ours, gradient)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision(dtype):
    """Twice the rounding of the result, compared with float32."""
    x, kernel = X.astype(dtype), KERNEL.astype(dtype)
    y = accelerate(lambda x, k: pooled(conv(x, k)))(x, kernel)
    exact = pooled(conv(x.astype(jnp.float32), kernel.astype(jnp.float32)))
    assert y.dtype == dtype
    np.testing.assert_allclose(
        y.astype(jnp.float32), exact, rtol=2 * float(jnp.finfo(dtype).eps), atol=1e-6
    )


def test_preferred_type():
    def wide(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=NUMBERS, preferred_element_type=jnp.float32
        )

    x, kernel = X.astype(jnp.bfloat16), KERNEL.astype(jnp.bfloat16)
    y = accelerate(wide)(x, kernel)
    assert y.dtype == jnp.float32
    assert_close(y, conv(x.astype(jnp.float32), kernel.astype(jnp.float32)))


def test_double_precision():
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x, kernel = (
            jnp.asarray(rng.normal(size=X.shape)),
            jnp.asarray(rng.normal(size=(3, 3, 2, 2))),
        )
        y = accelerate(lambda x, k: pooled(conv(x, k)))(x, kernel)
        assert y.dtype == jnp.float64
        np.testing.assert_allclose(y, pooled(conv(x, kernel)), rtol=1e-12, atol=1e-12)
    # The same function with float32 again.
    assert accelerate(conv)(X, KERNEL).dtype == jnp.float32


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8, jnp.complex64])
def test_what_it_does_not_know_stays(dtype):
    x, kernel = X.astype(dtype), KERNEL.astype(dtype)
    y = accelerate(conv)(x, kernel)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, conv(x, kernel))


def product(x):
    return lax.reduce_window(x, 1.0, lax.mul, (1, 2, 2, 1), (1, 1, 1, 1), "VALID")


def cumulated(x):
    return jnp.cumsum(x, axis=1) + lax.cummax(x, axis=2)


def over_four_axes(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (2, 2, 2, 2), (1, 1, 1, 1), "SAME")


def only_padding(x):
    padding = ((0, 0), (3, 3), (0, 0), (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 1, 1), (1, 1, 1, 1), padding)


def dilated(x):
    return lax.reduce_window(
        x, -jnp.inf, lax.max, (1, 2, 1, 1), (1, 1, 1, 1), "VALID", base_dilation=(1, 2, 1, 1)
    )


@pytest.mark.parametrize("function", [product, cumulated, over_four_axes, only_padding, dilated])
def test_other_windows_stay(function):
    np.testing.assert_array_equal(accelerate(function)(X), function(X))


def test_donated_and_static_arguments():
    @functools.partial(jax.jit, donate_argnums=0, static_argnames="flip")
    @accelerate
    def step(x, kernel, *, flip):
        assert isinstance(flip, bool)
        return conv(jnp.flip(x, 1) if flip else x, kernel)

    x = X + 0
    y = step(x, KERNEL, flip=True)
    assert_close(y, conv(jnp.flip(X, 1), KERNEL))
    assert x.is_deleted()
    # Also where a jitted function that donates is accelerated.
    donating = accelerate(jax.jit(lambda x: conv(x, KERNEL), donate_argnums=0))
    x = X + 0
    assert_close(donating(x), conv(X, KERNEL))
    assert x.is_deleted()


def test_sharded_arguments_of_a_jitted_function():
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    place = jax.sharding.NamedSharding(mesh, PartitionSpec("batch"))
    function = jax.jit(conv, in_shardings=(place, None), out_shardings=place)
    y = accelerate(function)(X, KERNEL)
    assert y.sharding.is_equivalent_to(place, 4)
    assert_close(y, conv(X, KERNEL))


@pytest.mark.parametrize("backwards", [False, True])
def test_rules_that_tell_zeros_apart_are_left_alone(backwards):
    """A substitute would hand them zeros that are arrays."""
    if backwards:

        @jax.custom_vjp
        def function(a, b):
            return conv(X, a).sum() + b.sum()

        function.defvjp(
            lambda a, b: (function(a.value, b.value), (a.value, b.perturbed)),
            lambda kept, ct: (kept[0] * (1.0 if kept[1] else 3.0), jnp.ones(3)),
            symbolic_zeros=True,
        )
    else:

        @jax.custom_jvp
        def function(a, b):
            return conv(X, a).sum() + b.sum()

        @functools.partial(function.defjvp, symbolic_zeros=True)
        def rule(primals, tangents):
            is_zero = isinstance(tangents[1], jax.custom_derivatives.SymbolicZero)
            return function(*primals), (3.0 if is_zero else 1.0) * tangents[0].sum()

    b = jnp.ones(3)
    np.testing.assert_array_equal(
        jax.grad(accelerate(function))(KERNEL, b), jax.grad(function)(KERNEL, b)
    )


def test_symbolic_shapes_are_left_alone():
    (batch,) = jax.export.symbolic_shape("batch")
    shape = jax.ShapeDtypeStruct((batch, *X.shape[1:]), jnp.float32)
    exported = jax.export.export(jax.jit(accelerate(lambda x: pooled(conv(x, KERNEL)))))(shape)
    assert_close(exported.call(X), pooled(conv(X, KERNEL)))
