"""Modules as Flax's users write them train in a study: transformations, state, half precision."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from jcnn import engine, training
from jcnn.study import Study
from jcnn.study.retrain import train_one
from tests.small import blobs

pytestmark = pytest.mark.filterwarnings("ignore:Using 'Module.sow:DeprecationWarning")
STEPS = 3 * 4  # three epochs of the 64 training examples in batches of 16


class Net(nnx.Module):
    """A network whose second layer, or what is done with it, depends on `kind`."""

    def __init__(self, kind, *, rngs):
        self.kind = kind
        dtype = {"bfloat16": jnp.bfloat16, "float16": jnp.float16}.get(kind, jnp.float32)
        self.first = nnx.Linear(4, 8, param_dtype=dtype, rngs=rngs)
        self.block = BLOCKS.get(kind, plain_block)(rngs)
        self.out = nnx.Linear(8, 2, param_dtype=dtype, rngs=rngs)
        self.count = nnx.Variable(jnp.int32(0))
        self.mean = nnx.Variable(jnp.zeros(8, jnp.bfloat16))
        if kind == "sow at the start":
            self(jnp.ones((2, 4)))

    def __call__(self, x):
        x = self.first(x.astype(self.first.kernel.dtype))
        x = CALLS.get(self.kind, lambda model, x: model.block(x))(self, x)
        return self.out(nnx.relu(x))


def plain_block(rngs):
    return nnx.Linear(8, 8, rngs=rngs)


def stacked(rngs):
    return nnx.split_rngs(splits=3)(nnx.vmap(plain_block, in_axes=(0,)))(rngs)


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.BatchNorm(use_running_average=False)(linen.Dense(8)(x))


BLOCKS = {
    "scan": stacked,
    "vmap": stacked,
    "unrolled": stacked,
    "RNN": lambda rngs: nnx.RNN(nnx.GRUCell(8, 8, rngs=rngs)),
    "SpectralNorm": lambda rngs: nnx.SpectralNorm(plain_block(rngs), rngs=rngs),
    "WeightNorm": lambda rngs: nnx.WeightNorm(plain_block(rngs), rngs=rngs),
    "ToNNX": lambda rngs: nnx.bridge.lazy_init(
        nnx.bridge.ToNNX(Linen(), rngs=rngs), jnp.ones((1, 8))
    ),
    "float16": lambda rngs: nnx.Linear(8, 8, param_dtype=jnp.float16, rngs=rngs),
    "bfloat16": lambda rngs: nnx.Linear(8, 8, param_dtype=jnp.bfloat16, rngs=rngs),
}


def apply(block, x):
    return block(x)


def counted(model, x):
    model.count[...] += 1
    return model.block(x)


def averaged(model, x):
    """A running mean that is bfloat16, and float32 after an update."""
    mean = model.mean.get_value().astype(jnp.float32)
    model.mean.set_value(0.9 * mean + 0.1 * jnp.mean(x, 0))
    return model.block(x)


def sown(model, x):
    model.sow(nnx.Intermediate, "h", x)
    return model.block(x)


def new(model, x):
    model.extra = nnx.Variable(jnp.mean(x))
    return model.block(x)


def unrolled(model, x):
    for i in range(3):
        x = x @ model.block.kernel[i] + model.block.bias[i][None]
    return x


CALLS = {
    "remat": lambda model, x: nnx.remat(apply)(model.block, x),
    "jit": lambda model, x: nnx.jit(apply)(model.block, x),
    "cond": lambda model, x: nnx.cond(
        jnp.mean(x) > -1e9, apply, lambda block, x: x, model.block, x
    ),
    "scan": lambda model, x: nnx.scan(
        lambda x, block: block(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry
    )(x, model.block),
    "unrolled": unrolled,
    "vmap": lambda model, x: jnp.mean(nnx.vmap(apply, in_axes=(0, None))(model.block, x), 0),
    "RNN": lambda model, x: model.block(jnp.stack([x, x], 1))[:, -1],
    "SpectralNorm": lambda model, x: model.block(x, update_stats=True),
    "ToNNX": lambda model, x: model.block(x, mutable=["batch_stats"]),
    "count": counted,
    "mean": averaged,
    "sow": sown,
    "sow at the start": sown,
    "new": new,
}


def study(kind, **changed):
    def model(*, rngs):
        return Net(kind, rngs=rngs)

    settings = {"learning_rates": [0.05], "seeds": 1, "epochs": 3, "batch_size": 16, "factors": {}}
    return Study(data=blobs(100, features=4, distance=1), model=model, **settings | changed)


def losses(kind):
    (record,) = study(kind).run().records
    return record.outcome.curves["train_loss"], record.outcome.curves["validation_loss"]


@pytest.fixture(scope="module")
def plain_losses():
    return losses("plain")


@pytest.mark.parametrize(
    "kind", ["remat", "jit", "cond", "count", "mean", "sow", "sow at the start", "new"]
)
def test_a_module_that_computes_the_same_trains_the_same(kind, plain_losses):
    np.testing.assert_allclose(losses(kind), plain_losses, rtol=1e-5)


def test_layers_in_a_scan_train_like_the_same_layers_in_a_python_loop():
    np.testing.assert_allclose(losses("scan"), losses("unrolled"), rtol=1e-5)


@pytest.mark.parametrize("kind", ["vmap", "RNN", "SpectralNorm", "WeightNorm", "ToNNX"])
def test_modules_with_transformations_of_their_own_train(kind):
    train, validation = losses(kind)
    assert train[-1] < train[0]
    assert np.isfinite(validation).all()


def test_state_changes_in_training_and_not_in_evaluation():
    model = train_one(study("count"), 0, 0.05)
    assert int(model.count[...]) == STEPS  # and not one more for each evaluation
    assert jnp.any(train_one(study("mean"), 0, 0.05).mean[...] != 0)
    assert train_one(study("mean"), 0, 0.05).mean[...].dtype == jnp.bfloat16


def test_what_a_call_adds_to_a_model_is_not_kept():
    assert not hasattr(train_one(study("sow"), 0, 0.05), "h")
    assert len(train_one(study("sow at the start"), 0, 0.05).h.get_value()) == 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_parameters_train_with_an_optimizer_in_float32(dtype):
    """Against a plain loop of Optax's Adam, of which only the parameters are rounded."""
    one = study(dtype, factors={"optimizer": ["adam"]}, epochs=1)
    model = train_one(one, 0, 0.05)
    assert model.first.kernel.dtype == dtype
    prepared = one.prepare()
    plain = engine.first_model(lambda rngs: Net(dtype, rngs=rngs), 0, None)
    graph, params, rest = nnx.split(plain, nnx.Param, ...)
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    adam = optax.adam(0.05)
    state = adam.init(wide)
    data = prepared.data
    for batch in engine.epoch_batches(0, 0, len(data.inputs), 16):
        x, y = training.normalize(jnp.asarray(data.inputs[batch]), data), data.targets[batch]

        def loss(params, x=x, y=y):
            logits = nnx.merge(graph, params, rest, copy=True)(x).astype(jnp.float32)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        gradients = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), jax.grad(loss)(params))
        updates, state = adam.update(gradients, state, wide)
        params = jax.tree.map(
            lambda p, u: (p.astype(jnp.float32) + u).astype(p.dtype), params, updates
        )
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    for name in ("first", "block", "out"):
        want = np.asarray(params[name]["kernel"][...], np.float32)
        got = np.asarray(getattr(model, name).kernel[...], np.float32)
        np.testing.assert_allclose(got, want, rtol=0.05, atol=0.02)
        assert np.abs(got - np.asarray(getattr(plain, name).kernel[...], np.float32)).max() > 0.05


def test_state_that_changes_its_shape_is_named():
    class Growing(nnx.Module):
        def __init__(self, *, rngs):
            self.out = nnx.Linear(4, 2, rngs=rngs)
            self.seen = nnx.Variable(jnp.zeros(1))

        def __call__(self, x):
            self.seen = nnx.Variable(jnp.concatenate([self.seen[...], jnp.zeros(1)]))
            return self.out(x)

    one = Study(data=blobs(100, features=4), model=Growing, factors={}, seeds=1, epochs=1)
    with pytest.raises(ValueError, match=r"shape of its state seen .*from \[\(1,\)\] to \[\(2,\)"):
        one.run()
