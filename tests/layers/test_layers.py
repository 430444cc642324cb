"""Every layer by `jcnn.testing.assert_layer`; learned functions, groups, dtypes and errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import layers, pooling
from jcnn.diagnosis.layerwise import diagnose_layerwise
from jcnn.testing import assert_layer
from tests.small import images

LAYERS = {
    "conv": lambda r: (layers.Conv(2, 3, (3, 3), rngs=r), (2, 4, 4, 2), (2, 4, 4, 3)),
    "conv1d": lambda r: (layers.Conv(2, 3, (3,), strides=2, rngs=r), (2, 5, 2), (2, 3, 3)),
    "dense": lambda r: (layers.Dense(3, 4, use_bias=False, rngs=r), (2, 3), (2, 4)),
    "pool": lambda r: (layers.Pool(pooling.l2_pool, (2, 2)), (2, 4, 4, 2), (2, 2, 2, 2)),
    "activation": lambda r: (layers.Activation(jnp.tanh), (2, 3), (2, 3)),
    "flatten": lambda r: (layers.Flatten(), (2, 3, 2), (2, 6)),
    "layer": lambda r: (layers.layer_norm(4, rngs=r), (2, 3, 3, 4), (2, 3, 3, 4)),
    "rms": lambda r: (layers.rms_norm(4, rngs=r), (2, 3, 3, 4), (2, 3, 3, 4)),
    "group": lambda r: (layers.group_norm(12, rngs=r), (2, 3, 3, 12), (2, 3, 3, 12)),
    "instance": lambda r: (layers.instance_norm(2, rngs=r), (2, 3, 3, 2), (2, 3, 3, 2)),
}


LEARNED = {
    "prelu": lambda: layers.Activation(layers.learned_prelu),
    "weighted_avg": lambda: layers.Pool(layers.learned_weighted_avg_pool, (3, 2)),
    "mixed": lambda: layers.Pool(layers.learned_mixed_pool, (2, 2)),
    "gem": lambda: layers.Pool(layers.learned_gem_pool, (2, 2)),
}


@pytest.mark.parametrize("name", LEARNED)
def test_learned_functions_have_parameters_that_learn(name):
    layer = LEARNED[name]()
    x = images(2, 6, 6, 3)
    if name == "gem":
        x = jnp.abs(x) + 0.5
    assert_layer(layer, x)
    function, *window = {
        "prelu": (layers.learned_prelu,),
        "weighted_avg": (layers.learned_weighted_avg_pool, (3, 2)),
        "mixed": (layers.learned_mixed_pool, (2, 2)),
        "gem": (layers.learned_gem_pool, (2, 2)),
    }[name]
    np.testing.assert_allclose(layer(x), function(x, *window), rtol=1e-6)
    graph, params = nnx.split(layer)
    gradient = jax.grad(lambda p: jnp.sum(nnx.merge(graph, p)(x) ** 2))(params)
    assert len(jax.tree.leaves(gradient)) == 1
    assert all(jnp.any(g != 0) for g in jax.tree.leaves(gradient))


def test_each_layer_has_its_own_parameters():
    first, second = (layers.Activation(layers.learned_prelu) for _ in range(2))
    first.parameters["slope"][...] = jnp.float32(0.5)
    assert second.parameters["slope"][...] == 0.25


@pytest.mark.parametrize(
    ("features", "groups"), [(1, 1), (2, 1), (4, 2), (7, 1), (8, 4), (12, 6), (16, 8), (20, 5)]
)
def test_groups_have_at_least_two_channels(features, groups):
    norm = layers.group_norm(features, rngs=nnx.Rngs(0))
    assert norm.num_groups == groups
    x = images(3, features)
    grouped = np.asarray(x).reshape(3, groups, -1)
    centred = grouped - grouped.mean(-1, keepdims=True)
    expected = centred / np.sqrt(grouped.var(-1, keepdims=True) + 1e-6)
    y = nnx.jit(norm)(x)
    np.testing.assert_allclose(y, expected.reshape(x.shape), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("normalization", ["batch_norm", "layer_norm", "rms_norm", "group_norm"])
def test_integers_are_not_normalized(normalization):
    norm = getattr(layers, normalization)(4, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="x is int32; expected a floating dtype"):
        norm(jnp.ones((2, 4), jnp.int32))


@pytest.mark.parametrize(
    "make",
    [
        lambda r, **o: layers.Conv(3, 2, (1,), rngs=r, **o),
        lambda r, **o: layers.Dense(3, 2, rngs=r, **o),
    ],
)
def test_layers_compute_in_the_dtype_of_their_input(make):
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64):
        with jax.enable_x64(dtype == jnp.float64):
            layer = make(nnx.Rngs(0))
            assert layer(jnp.ones((2, 4, 3), dtype)).dtype == dtype
            assert layer.kernel.dtype == jnp.float32
            fixed = make(nnx.Rngs(0), dtype=jnp.float32)
            assert fixed(jnp.ones((2, 4, 3), dtype)).dtype == jnp.float32
    with pytest.raises(TypeError, match="x is uint8; expected a floating dtype"):
        make(nnx.Rngs(0))(jnp.ones((2, 4, 3), jnp.uint8))


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    layer, shape, expected = LAYERS[name](nnx.Rngs(0))
    assert_layer(layer, images(*shape), shape=expected)


def test_batch_norm_and_dropout_in_evaluation():
    for layer in (layers.batch_norm(3, rngs=nnx.Rngs(0)), layers.Dropout(0.5, rngs=nnx.Rngs(0))):
        layer.eval()
        assert_layer(layer, images(2, 4, 4, 3), shape=(2, 4, 4, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda r: layers.Conv(3, 4, (3, 3), feature_group_count=2, rngs=r),
            "feature_group_count=2 must be positive and divide in_features=3",
        ),
        (lambda r: layers.Conv(1, 2, (3,) * 4, rngs=r), "kernel_size=.* expected 1 to 3 positive"),
        (
            lambda r: layers.Conv(1, 2, 3, rngs=r)(images(2, 8, 8, 1)),
            r"integer kernel_size=3 means one spatial axis, .* write kernel_size=\(3, 3\)$",
        ),
        (
            lambda r: layers.Conv(3, 2, (3, 3), rngs=r)(images(2, 8, 8, 1)),
            r"x has shape \(2, 8, 8, 1\), but this layer .* takes 3 channels: expected",
        ),
        (
            lambda r: layers.Conv(1, 2, (3, 3), rngs=r)(images(8, 1)),
            r"expected \(\*batch, \*spatial, 1\) with 2 spatial axes",
        ),
        (
            lambda r: layers.Dense(3, 2, rngs=r)(images(2, 4)),
            r"x has shape \(2, 4\), but this layer takes 3 features: expected \(\*batch, 3\)",
        ),
        (lambda r: layers.Pool(pooling.max_pool, 0)(images(2, 4, 1)), r"window_shape=\(0,\)"),
        (
            lambda r: layers.Pool(layers.learned_weighted_avg_pool, 2),
            r"shape of the learned weights depends on it, .* such as \(2, 2\)",
        ),
        (
            lambda r: layers.Sequential(jnp.tanh, tanh_1=jnp.tanh),
            "'tanh_1'; choose another name",
        ),
        (lambda r: layers.Sequential(names=jnp.tanh), "'names'; choose another name"),
        (lambda r: layers.Sequential(train=jnp.tanh), "'train'; choose another name"),
        (lambda r: layers.Sequential(perturb=jnp.tanh), "'perturb'; choose another name"),
    ],
)
def test_errors_say_what_to_change(make, message, unchecked_types):
    with pytest.raises(ValueError, match=message):
        make(nnx.Rngs(0))


def test_conv_takes_the_arguments_of_flax():
    options = {"kernel_dilation": 2, "feature_group_count": 2, "padding": 1, "use_bias": False}
    for size, strides, shape in (((3, 2), 2, (2, 9, 9, 4)), (3, (1,), (2, 9, 4))):
        mine = layers.Conv(4, 6, size, strides, **options, rngs=nnx.Rngs(0))
        flax = nnx.Conv(4, 6, size, strides, **options, rngs=nnx.Rngs(0))
        flax.kernel[...] = mine.kernel[...]
        np.testing.assert_allclose(mine(images(*shape)), flax(images(*shape)), atol=1e-5)


def test_linear_is_dense():
    assert layers.Linear is layers.Dense
    with pytest.raises(TypeError, match="unexpected keyword argument 'precise'"):
        layers.Linear(3, 4, precise="high", rngs=nnx.Rngs(0))


def test_layers_are_those_of_flax():
    """With all of their arguments, also those that jcnn does not name."""
    conv = layers.Conv(2, 4, 3, precision="highest", mask=jnp.zeros((3, 2, 4)), rngs=nnx.Rngs(0))
    assert isinstance(conv, nnx.Conv)
    assert float(jnp.max(jnp.abs(conv(images(2, 5, 2))))) == 0.0
    wide = layers.Conv(2, 4, 3, input_dilation=2, padding=1, rngs=nnx.Rngs(0))
    assert wide(images(2, 5, 2)).shape == (2, 9, 4)
    dense = layers.Dense(2, 3, use_bias=False, preferred_element_type=jnp.float32, rngs=nnx.Rngs(0))
    assert isinstance(dense, nnx.Linear)
    assert dense(images(2, 2).astype(jnp.bfloat16)).dtype == jnp.float32


def test_a_sequential_names_its_positional_layers():
    r = nnx.Rngs(0)

    def swap(x):
        return jnp.swapaxes(x, 1, 2)

    model = layers.Sequential(
        layers.Conv(1, 4, (3, 3), rngs=r),
        nnx.relu,
        layers.BatchNorm(4, rngs=r),
        functools.partial(pooling.max_pool, window_shape=2),
        swap,
        lambda x: 2 * x,
        layers.learned_prelu,
        layers.Pool(pooling.avg_pool, 2),
        layers.Flatten(),
        output=layers.Linear(16, 3, rngs=r),
    )
    assert model.names == (
        "conv_1",
        "relu_2",
        "batch_norm_3",
        "max_pool_4",
        "swap_5",
        "lambda_6",
        "prelu_7",
        "pool_8",
        "flatten_9",
        "output",
    )
    assert_layer(model, images(2, 8, 8, 1), shape=(2, 3), batched=False, gradients=False)
    y, values = model.intermediates(images(2, 8, 8, 1))
    np.testing.assert_array_equal(values["relu_2"], nnx.relu(values["conv_1"]))
    np.testing.assert_array_equal(values["lambda_6"], 2 * values["swap_5"])
    np.testing.assert_array_equal(y, values["output"])


def test_a_diagnosis_recognizes_bare_activations():
    r = nnx.Rngs(0)
    model = layers.Sequential(
        layers.Dense(8, 8, rngs=r), nnx.tanh, lambda x: x, layers.Dense(8, 3, rngs=r)
    )
    rows = diagnose_layerwise(model, images(16, 8), jnp.arange(16) % 3).diagnosis.layers
    assert [(row.name, row.activation) for row in rows] == [("dense_1", "tanh"), ("dense_4", None)]


def test_a_layer_must_be_callable(unchecked_types):
    with pytest.raises(TypeError, match="layer 'str_1' is str; expected an nnx.Module or a func"):
        layers.Sequential("relu")
