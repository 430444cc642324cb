"""What a model costs: parameters, operations and receptive fields, against counting by hand."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import activations, layers, models, pooling
from jcnn.cli import main
from jcnn.diagnosis import summarize
from tests.slow import short_first


def test_parameters_and_operations_of_each_layer():
    model = models.lenet((8, 8, 1), 10, features=(16, 32), hidden=(64,), rngs=nnx.Rngs(0))
    summary = summarize(model, (8, 8, 1), batch_size=16)
    by_name = {layer.name: layer for layer in summary.layers}
    assert [layer.parameters for layer in summary.layers] == [
        9 * 16 + 16,
        9 * 16 * 32 + 32,
        4 * 32 * 64 + 64,
        64 * 10 + 10,
    ]
    params = nnx.state(model, nnx.Param)
    assert summary.parameters == sum(np.size(leaf) for leaf in jax.tree.leaves(params))
    # A multiplication and an addition per weight, and the additions of the biases.
    assert by_name["dense_hidden1"].flops == pytest.approx(2 * 128 * 64, rel=0.05)
    # Of the 12 positions of three windows in a row of 4, 10 lie in the input.
    assert by_name["conv2"].flops == pytest.approx(2 * 10**2 * 16 * 32, rel=0.01)
    whole = sum(layer.flops for layer in summary.layers)
    assert whole < summary.flops < 1.2 * whole
    assert by_name["conv1"].shape == (8, 8, 16)
    assert by_name["conv1"].activation_bytes == 4 * 8 * 8 * 16
    assert summary.step_bytes > 16 * 4 * 8 * 8 * 16


class Stack(nnx.Module):
    """Convolutions with known receptive fields, and a function between them."""

    def __init__(self, between, **options):
        rngs = nnx.Rngs(0)
        self.first = layers.Conv(1, 4, (3, 3), rngs=rngs, **options)
        self.norm = layers.batch_norm(4, rngs=rngs)
        self.second = layers.Conv(4, 4, (3, 3), rngs=rngs)
        self.out = layers.Dense(4, 10, rngs=rngs)
        self.between = between

    def __call__(self, x):
        x = self.between(activations.relu(self.norm(self.first(x))))
        return self.out(jnp.mean(self.second(x), axis=(1, 2)))


@pytest.mark.parametrize(
    ("between", "options", "second"),
    short_first(
        [
            (lambda x: pooling.max_pool(x, (2, 2)), {}, 8),
            (lambda x: x, {"strides": 2}, 7),
            (lambda x: x, {"kernel_dilation": 2}, 7),
            (lambda x: x, {}, 5),
            (lambda x: pooling.l2_pool(x, (3, 3), 1), {}, 7),
            (lambda x: jnp.where(x > 0, x, 0), {}, 5),
        ],
        3,
    ),
)
def test_receptive_fields(between, options, second):
    model = Stack(between, **options)
    summary = summarize(model, (32, 24, 1), batch_size=2)
    first = 5 if options.get("kernel_dilation") else 3
    assert [layer.receptive_field for layer in summary.layers] == [
        (first, first),
        (second, second),
        (32, 24),
    ]


@pytest.mark.slow
def test_a_residual_network_and_one_without_spatial_axes():
    resnet = models.ResNet((16, 16, 3), 10, rngs=nnx.Rngs(0))
    summary = summarize(resnet, (16, 16, 3), batch_size=4)
    extents = [layer.receptive_field[0] for layer in summary.layers]
    assert extents[0] == 3
    assert extents[-1] == 16
    assert summary.parameters == sum(layer.parameters for layer in summary.layers) + sum(
        np.size(leaf)
        for path, leaf in jax.tree.leaves_with_path(nnx.state(resnet, nnx.Param))
        if "scale" in jax.tree_util.keystr(path) or "norm" in jax.tree_util.keystr(path)
    )
    flat = summarize(models.mlp((7,), 3, rngs=nnx.Rngs(0)), (7,), batch_size=4)
    assert {layer.receptive_field for layer in flat.layers} == {()}


def test_a_layer_used_twice_counts_its_parameters_once():
    class Twice(nnx.Module):
        def __init__(self):
            self.layer = nnx.Linear(8, 8, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return self.layer(nnx.relu(self.layer(x)))

    summary = summarize(Twice(), (8,), batch_size=4)
    assert [layer.parameters for layer in summary.layers] == [72, 0]
    assert summary.parameters == 72


def test_the_command(capsys):
    assert main(["summary", "mlp", "--factor", "hidden", "16,", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [layer["parameters"] for layer in printed["layers"]] == [65 * 16, 17 * 10]
    assert main(["summary", "lenet"]) == 0
    assert "conv2 (Conv)" in capsys.readouterr().out


def flops_of(model, shape, name=None, **options):
    summary = summarize(model, shape, batch_size=4, **options)
    return summary.flops if name is None else summary.layers[0].flops


@pytest.mark.parametrize("make", [layers.Conv, nnx.Conv])
@pytest.mark.parametrize("groups", [1, 4, 16])
def test_a_grouped_convolution_counts_its_own_weights(make, groups):
    model = make(16, 16, (3, 3), feature_group_count=groups, use_bias=False, rngs=nnx.Rngs(0))
    assert flops_of(model, (8, 8, 16)) == 2 * 22**2 * (16 // groups) * 16


@pytest.mark.parametrize(
    ("options", "pairs"),
    [
        ({"padding": "VALID"}, (6 * 3) ** 2),
        ({"strides": (2, 2)}, (4 * 3 - 1) ** 2),
        ({"kernel_dilation": (2, 2), "padding": "VALID"}, (4 * 3) ** 2),
    ],
)
def test_positions_outside_the_input_are_not_counted(options, pairs):
    for make in (layers.Conv, nnx.Conv):
        model = make(2, 4, (3, 3), use_bias=False, rngs=nnx.Rngs(0), **options)
        assert flops_of(model, (8, 8, 2)) == 2 * pairs * 2 * 4, make


class Scanned(nnx.Module):
    def __init__(self, layers):
        @nnx.vmap(in_axes=0, out_axes=0)
        def make(key):
            return nnx.Linear(16, 16, use_bias=False, rngs=nnx.Rngs(key))

        self.stack = make(jax.random.split(jax.random.key(0), layers))
        self.head = nnx.Linear(16, 4, use_bias=False, rngs=nnx.Rngs(0))

    def __call__(self, x):
        run = nnx.scan(lambda x, layer: layer(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        return self.head(run(x, self.stack))


@pytest.mark.parametrize("layers", [3, 6000])  # the latter is not unrolled
def test_the_layers_in_a_loop_count_as_often_as_they_run(layers):
    assert flops_of(Scanned(layers), (16,)) == pytest.approx(2 * 16 * (16 * layers + 4), rel=0.01)


class FlaxPooled(nnx.Module):
    def __init__(self, pool):
        self.first, self.second = (nnx.Conv(n, 4, (3, 3), rngs=nnx.Rngs(0)) for n in (1, 4))
        self.out, self.pool = nnx.Linear(4, 10, rngs=nnx.Rngs(0)), pool

    def __call__(self, x):
        x = self.pool(nnx.relu(self.first(x)), (3, 3), (2, 2))
        return self.out(jnp.mean(self.second(x), axis=(1, 2)))


@pytest.mark.parametrize("pool", [nnx.max_pool, nnx.min_pool, nnx.avg_pool])
def test_receptive_fields_behind_pooling_of_flax(pool):
    with jax.numpy_dtype_promotion("standard"):  # which Flax's average needs
        summary = summarize(FlaxPooled(pool), (32, 24, 1))
    fields = [layer.receptive_field for layer in summary.layers]
    assert fields == [(3, 3), (9, 9), (32, 24)]


class TrainingOnly(nnx.Module):
    """A side layer that is called in training only."""

    def __init__(self):
        self.conv, self.out = (
            nnx.Conv(1, 4, (3, 3), rngs=nnx.Rngs(0)),
            nnx.Linear(4, 10, rngs=nnx.Rngs(0)),
        )
        self.side = nnx.Linear(4, 10, rngs=nnx.Rngs(0))
        self.drop = nnx.Dropout(0.5, rngs=nnx.Rngs(0))

    def __call__(self, x):
        x = jnp.mean(self.conv(x), axis=(1, 2))
        return self.out(x) if self.drop.deterministic else self.out(x) + self.side(x)


def test_a_layer_that_is_called_in_training_only():
    fields = {
        layer.name: layer.receptive_field for layer in summarize(TrainingOnly(), (8, 8, 1)).layers
    }
    assert fields == {"conv": (3, 3), "out": (8, 8), "side": ()}


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_models_in_half_precision(dtype):
    model = models.lenet((8, 8, 1), 10, rngs=nnx.Rngs(0))
    nnx.update(model, jax.tree.map(lambda leaf: leaf.astype(dtype), nnx.state(model, nnx.Param)))
    fields = [layer.receptive_field for layer in summarize(model, (8, 8, 1)).layers]
    assert fields[:2] == [(3, 3), (7, 7)]
