"""Every model by `jcnn.testing.assert_layer`; normalizations, precision, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import initializers, models, names
from jcnn.testing import assert_layer
from tests.slow import short_first
from tests.small import images

MODELS = {
    "lenet": (models.lenet, (8, 8, 1), {"features": (4, 4), "hidden": (8,)}),
    "lenet 1-D": (models.lenet, (12, 2), {"features": (4,)}),
    "lenet 3-D": (models.lenet, (4, 6, 6, 1), {"features": (2,), "hidden": (4,)}),
    "mlp": (models.mlp, (3, 3, 1), {"hidden": (8,)}),
    "plain": (models.plain_cnn, (6, 6, 1), {"depth": 3, "width": 4}),
    "vgg": (models.vgg, (8, 8, 1), {"width": 2}),
    "resnet": (models.ResNet, (6, 6, 1), {"depth": 8, "width": 2, "normalization": None}),
    "resnet 1-D": (models.ResNet, (9, 1), {"depth": 8, "width": 2}),
}


OFTEN = ["mlp", "plain", "lenet", "resnet 1-D"]


@pytest.mark.parametrize("name", short_first(sorted(MODELS, key=lambda name: name not in OFTEN), 4))
def test_models(name):
    make, shape, options = MODELS[name]
    # Compiled as one program: initial values are otherwise drawn by dozens of small ones.
    model = nnx.jit(lambda rngs: make(shape, 3, activation=jnp.tanh, rngs=rngs, **options))(
        nnx.Rngs(0)
    )
    model.eval()
    # Gradients are checked per layer; whole models are checked for shapes, batches and jit.
    assert_layer(model, images(2, *shape), shape=(2, 3), gradients=False)


@pytest.mark.parametrize("normalization", names.TABLES["normalization"])
def test_every_normalization_fits_the_models(normalization):
    norm = names.lookup("normalization", normalization)

    @nnx.jit
    def output(rngs, x):
        return models.lenet((8, 8, 1), 3, features=(4, 6), normalization=norm, rngs=rngs)(x)

    y = output(nnx.Rngs(0), images(4, 8, 8, 1))
    assert y.shape == (4, 3)
    assert jnp.isfinite(y).all()


def test_the_kernel_initializer_is_used_everywhere():
    model = models.vgg((8, 8, 1), 3, kernel_init=initializers.zeros, rngs=nnx.Rngs(0))
    state = nnx.state(model, nnx.Param)
    assert all(not leaf.any() for leaf in jax.tree.leaves(state))


def test_sequential_returns_intermediates():
    model = models.lenet((8, 8, 1), 3, rngs=nnx.Rngs(0))
    x = images(2, 8, 8, 1)
    y, values = model.intermediates(x)
    assert list(values)[:3] == ["conv1", "activation1", "pool1"]
    np.testing.assert_array_equal(values["output"], y)
    assert values["pool2"].shape == (2, 2, 2, 32)


def test_mixed_precision_keeps_float32_parameters():
    model = models.lenet((8, 8, 1), 3, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    assert model(images(2, 8, 8, 1)).dtype == jnp.bfloat16
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda r: models.vgg((8, 8, 1), 3, depth=9, rngs=r), "expected one of 8, 11, 16"),
        (lambda r: models.ResNet((8, 8, 1), 3, depth=9, rngs=r), "expected 6n \\+ 2"),
        (lambda r: models.plain_cnn((8, 8, 1), 3, depth=0, rngs=r), "at least one convolution"),
        (lambda r: models.lenet((2, 2, 1), 3, rngs=r), "fewer pooling stages"),
        (lambda r: models.lenet((4,), 3, rngs=r), "use the mlp model"),
        (lambda r: models.plain_cnn((8,), 3, rngs=r), "use the mlp model"),
        (lambda r: models.ResNet((8,), 3, rngs=r), "use the mlp model"),
        (lambda r: models.vgg((), 3, rngs=r), "use the mlp model"),
    ],
)
def test_errors_say_what_to_change(make, message, unchecked_types):
    with pytest.raises(ValueError, match=message):
        make(nnx.Rngs(0))
