"""Convolution against plain loops, lax and PyTorch, in every mode of differentiation."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jcnn import arguments
from jcnn.convolution import conv
from jcnn.convolution._columns import columns
from jcnn.convolution._cpu import canonical, fast, taps
from jcnn.convolution._geometry import Geometry, input_channels
from jcnn.convolution._gpu import gpu
from jcnn.convolution._plain import plain as accelerators
from tests import reference

# spatial, window, in, out, strides, padding, dilation, groups
CASES = [
    ((7,), (3,), 2, 3, 1, "SAME", 1, 1),
    ((8,), (2,), 2, 4, 2, "VALID", 2, 2),
    ((6, 6), (3, 3), 1, 4, 1, "SAME", 1, 1),
    ((6, 5), (3, 2), 3, 4, 2, "SAME", 1, 1),
    ((7, 7), (3, 3), 4, 4, 1, ((2, 1), (0, 1)), 2, 4),
    ((5, 5), (1, 1), 3, 2, 2, "VALID", 1, 1),
    ((8, 8), (5, 5), 2, 20, 1, "VALID", 1, 1),
    ((7, 6), (3, 3), 1, 16, 2, "SAME", 1, 1),
    ((7, 6), (3, 3), 6, 16, 2, "SAME", 1, 1),
    ((4, 4, 4), (3, 3, 3), 2, 3, 1, "SAME", 1, 1),
    ((4, 5, 4), (2, 2, 2), 2, 2, 2, "VALID", 1, 2),
    ((9, 8), (3, 2), 1, 1, 2, ((2, 1), (0, 3)), 1, 1),
]
NAMES = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def arrays(case, dtype=np.float32):
    spatial, window, inputs, outputs, *_, groups = case
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *spatial, inputs)).astype(np.float32)
    kernel = rng.normal(size=(*window, inputs // groups, outputs)).astype(np.float32)
    return jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)


def ours(case):
    *_, strides, padding, dilation, groups = case
    return lambda x, k: conv(
        x, k, strides=strides, padding=padding, kernel_dilation=dilation, feature_group_count=groups
    )


def plain(case):
    spatial, _, _, _, strides, padding, dilation, groups = case
    n = len(spatial)
    return lambda x, k: lax.conv_general_dilated(
        x,
        k,
        (strides,) * n,
        padding,
        rhs_dilation=(dilation,) * n,
        dimension_numbers=NAMES[n],
        feature_group_count=groups,
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_both_gradients(case):
    spatial, _, _, _, strides, padding, dilation, groups = case
    n = len(spatial)
    x, kernel = arrays(case)

    def both(convolve):
        def values(x, kernel, dy):
            y, pullback = jax.vjp(convolve, x, kernel)
            return y, pullback(dy)

        return jax.jit(values)

    shape = jax.eval_shape(ours(case), x, kernel).shape
    dy = jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)
    y, gradients = both(ours(case))(x, kernel, dy)
    expected = reference.conv(
        np.asarray(x), np.asarray(kernel), (strides,) * n, padding, (dilation,) * n, groups
    )
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(gradients, both(plain(case))(x, kernel, dy)[1], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


UNGROUPED = [case for case in CASES if case[-1] == 1]


def geometry_and_operands(case, models):
    """The operands of each map, by its result."""
    spatial, window, inputs, outputs, strides, padding, dilation, _ = case
    n = len(spatial)
    dilations = (dilation,) * n
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilations, strict=True)]
    pads = arguments.pads(padding, spatial, reach, (strides,) * n)
    out = tuple(
        (s + low + high - r) // strides + 1
        for s, (low, high), r in zip(spatial, pads, reach, strict=True)
    )
    geometry = Geometry(spatial, window, out, (strides,) * n, dilations, pads)
    draw = np.random.default_rng(2).normal
    x = jnp.asarray(draw(size=(models, 2, *spatial, inputs)), jnp.float32)
    kernel = jnp.asarray(draw(size=(models, *window, inputs, outputs)), jnp.float32)
    y = jnp.asarray(draw(size=(models, 2, *out, outputs)), jnp.float32)
    return geometry, {"output": (x, kernel), "input": (y, kernel), "kernel": (x, y)}


@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("case", UNGROUPED, ids=str)
def test_all_lowerings_agree(case, models):
    """All three maps of every platform's lowering on CPU, which otherwise runs only its own."""
    geometry, operands = geometry_and_operands(case, models)
    for result, (a, b) in operands.items():
        results = [
            jax.jit(functools.partial(lowering, result=result, geometry=geometry))(a, b)
            for lowering in (accelerators, gpu, fast)
        ]
        for found in results[1:]:
            np.testing.assert_allclose(results[0], found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", UNGROUPED, ids=str)
def test_all_forms_for_cpu_agree(case):
    """All three maps in every form, since shapes as small as these select only some of them."""
    geometry, operands = geometry_and_operands(case, 1)
    for result, (a, b) in operands.items():
        assert input_channels(a, b, result) == case[2]
        expected = accelerators(a, b, result=result, geometry=geometry)[0]
        for form in (canonical, columns, taps) if result == "kernel" else (canonical, columns):
            run = jax.jit(functools.partial(form, result=result, geometry=geometry))
            np.testing.assert_allclose(run(a[0], b[0]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", [CASES[3], CASES[4], CASES[7]], ids=str)
def test_forward_mode_and_second_derivatives(case):
    x, kernel = arrays(case)
    tangents = (jnp.ones_like(x), jnp.cos(kernel))

    def loss(convolve):
        return lambda x, k: jnp.sum(jnp.tanh(convolve(x, k)) ** 2)

    for differentiate in (
        lambda f: lambda: jax.jvp(f, (x, kernel), tangents)[1],
        lambda f: lambda: jax.jvp(jax.grad(f, argnums=(0, 1)), (x, kernel), tangents)[1],
        lambda f: lambda: jax.grad(lambda x: jnp.vdot(jax.grad(f)(x, kernel), tangents[0]))(x),
    ):
        mine = jax.jit(differentiate(loss(ours(case))))()
        theirs = jax.jit(differentiate(loss(plain(case))))()
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3), mine, theirs
        )


@pytest.mark.parametrize("over", ["x", "kernel", "both"])
@pytest.mark.parametrize("case", [CASES[2], CASES[3], CASES[6]], ids=str)
def test_vmap_and_map_agree_with_single_calls(case, over):
    x, kernel = arrays(case)
    xs = jnp.stack([x, 2 * x, x - 1]) if over != "kernel" else jnp.stack([x] * 3)
    kernels = jnp.stack([kernel, -kernel, kernel + 1]) if over != "x" else jnp.stack([kernel] * 3)
    axes = (0 if over != "kernel" else None, 0 if over != "x" else None)
    operands = (xs if over != "kernel" else x, kernels if over != "x" else kernel)

    def both(x, k):
        y, pullback = jax.vjp(ours(case), x, k)
        return (y, *pullback(jnp.sin(y)))

    single = jax.jit(both)
    singles = [single(x, k) for x, k in zip(xs, kernels, strict=True)]
    mapped = jax.jit(jax.vmap(both, in_axes=axes))(*operands)
    looped = jax.jit(lambda a, b: lax.map(lambda ab: both(*ab), (a, b)))(xs, kernels)
    for i, single in enumerate(singles):
        for many in (mapped, looped):
            for got, expected in zip(many, single, strict=True):
                np.testing.assert_allclose(got[i], expected, rtol=1e-3, atol=1e-3)


def test_batch_axes_bias_and_dtype():
    x, kernel = arrays(CASES[3])
    bias = jnp.arange(4.0)
    y = conv(x, kernel, bias, strides=2)
    np.testing.assert_allclose(conv(x[0], kernel, bias, strides=2), y[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        conv(x[None, :, None], kernel, bias, strides=2)[0, :, 0], y, rtol=1e-5
    )
    assert conv(x[:0], kernel, strides=2).shape == (0, *y.shape[1:])
    for dtype in (jnp.float16, jnp.bfloat16):
        half = conv(x.astype(dtype), kernel.astype(dtype), strides=2)
        assert half.dtype == dtype
        np.testing.assert_allclose(
            half.astype(jnp.float32), conv(x, kernel, strides=2), rtol=0.05, atol=0.1
        )


def test_circular_padding_is_equivariant_to_shifts():
    x, kernel = arrays(CASES[2])
    y = conv(x, kernel, padding="CIRCULAR")
    assert y.shape == (2, 6, 6, 4)
    moved = conv(jnp.roll(x, 2, axis=2), kernel, padding="CIRCULAR")
    np.testing.assert_allclose(moved, jnp.roll(y, 2, axis=2), rtol=1e-4, atol=1e-5)
    inner = conv(x, kernel, padding="VALID")
    np.testing.assert_allclose(y[:, 1:-1, 1:-1], inner, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", [CASES[2], CASES[5]], ids=str)
def test_agrees_with_pytorch(case):
    torch = pytest.importorskip("torch")
    *_, strides, padding, dilation, groups = case
    x, kernel = arrays(case)
    y = torch.nn.functional.conv2d(
        torch.tensor(np.asarray(x).transpose(0, 3, 1, 2).copy()),
        torch.tensor(np.asarray(kernel).transpose(3, 2, 0, 1).copy()),
        stride=strides,
        padding=padding.lower() if strides == 1 else 0,
        dilation=dilation,
        groups=groups,
    )
    np.testing.assert_allclose(
        ours(case)(x, kernel), y.numpy().transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-4
    )


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the slow path is XLA:CPU's")
def test_a_scanned_training_step_has_only_canonical_convolutions():
    def loss(kernels, x):
        h = jax.nn.relu(conv(x, kernels[0]))
        return jnp.sum(conv(h, kernels[1], strides=2) ** 2)

    def step(kernels, x):
        gradients = jax.grad(loss)(kernels, x)
        return [k - 0.01 * g for k, g in zip(kernels, gradients, strict=True)], None

    kernels = [jnp.ones((3, 3, 8, 32)), jnp.ones((3, 3, 32, 64))]
    batches = jnp.ones((3, 16, 16, 16, 8))
    text = jax.jit(lambda k, x: lax.scan(step, k, x)).lower(kernels, batches).compile().as_text()
    labels = re.findall(r"dim_labels=(\S+?)[,\s]", text)
    assert all(label == "b01f_01io->b01f" for label in labels), labels
    assert "feature_group_count" not in text
    assert "batch_group_count" not in text


@pytest.mark.parametrize(
    ("x", "kernel", "options", "error", "message"),
    [
        ((4, 4, 3), (3, 3, 2, 4), {}, ValueError, "channels are the last axis"),
        (
            (4, 4, 3),
            (3, 3),
            {},
            ValueError,
            r"expected \(\*window, in // feature_group_count, out\)",
        ),
        ((4, 3), (3, 3, 3, 4), {}, ValueError, "at least 3 axes"),
        ((4, 4, 3), (3, 3, 3, 4), {"feature_group_count": 2}, ValueError, "feature_group_count=2"),
        ((4, 4, 3), (3, 3, 3, 4), {"padding": "FULL"}, ValueError, "'CIRCULAR'"),
        ((4, 4, 3), (3, 3, 3, 4), {"strides": 0}, ValueError, "strides=0"),
        ((2, 2, 3), (3, 3, 3, 4), {"padding": "VALID"}, ValueError, "smaller kernel"),
        ((4, 4, 3), (3, 3, 3, 4), {"bias": 3}, ValueError, "bias has shape"),
        ((4, 4, 3), (3, 3, 3, 4), {"padding": -1}, ValueError, "padding=-1; expected 'SAME'"),
        ((4, 4, 3), (3, 3, 3, 4), {"padding": ((1, 1), (1,))}, ValueError, "pairs"),
        ((4, 4, 3), (3, 3, 3, 4), {"padding": ((1.5, 1), (1, 1))}, ValueError, "pairs"),
        ((4, 4, 3), (3, 3, 3, 4), {"kernel_dilation": (1, 1.5)}, ValueError, "kernel_dilation="),
    ],
)
def test_errors_say_what_to_change(x, kernel, options, error, message, unchecked_types):
    if "bias" in options:
        options = {"bias": jnp.ones(options["bias"])}
    with pytest.raises(error, match=message):
        conv(jnp.ones(x), jnp.ones(kernel), **options)


def test_numpy_integers_are_accepted(unchecked_types):
    x, kernel = arrays(CASES[3])
    one, two = np.int64(1), np.int64(2)
    padding, dilation = [(one, one), (one, 0)], np.array([1, 1])
    y = conv(x, kernel, strides=two, kernel_dilation=dilation, padding=padding)
    np.testing.assert_array_equal(y, conv(x, kernel, strides=2, padding=((1, 1), (1, 0))))


def test_an_integer_pads_both_sides_of_every_axis():
    x, kernel = arrays(CASES[3])
    np.testing.assert_array_equal(
        conv(x, kernel, padding=2), conv(x, kernel, padding=((2, 2), (2, 2)))
    )


def test_dtypes_must_agree():
    with pytest.raises(TypeError, match="cast with .astype"):
        conv(jnp.ones((4, 4, 1)), jnp.ones((3, 3, 1, 1), jnp.bfloat16))
