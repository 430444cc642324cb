"""What accelerate takes and returns: arguments, modules with state, traces, errors."""

import traceback

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax import lax

import jcnn
from jcnn import accelerate

pytestmark = pytest.mark.usefixtures("promotion")

X = jax.random.normal(jax.random.key(0), (4, 6, 6, 2))


class Network(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(2, 3, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x, scale=1.0):
        return scale * self.dropout(nnx.relu(self.norm(self.conv(x))))


def test_twice_is_once():
    function = accelerate(jnp.sin)
    assert accelerate(function) is function


def test_on_an_accelerator_the_function_itself_is_returned(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert accelerate(jnp.sin) is jnp.sin


def test_the_wrapper_looks_like_the_function():
    def loss(x):
        """Return the loss."""
        return x

    ours = accelerate(loss)
    assert (ours.__name__, ours.__doc__, ours.__wrapped__) == ("loss", "Return the loss.", loss)
    assert accelerate(Network(nnx.Rngs(0))).__name__ == "Network"


def test_a_module_is_a_function_whose_state_changes():
    plain, other = Network(nnx.Rngs(0)), Network(nnx.Rngs(0))
    ours = accelerate(other)
    for _ in range(3):  # dropout draws other numbers at each call
        np.testing.assert_allclose(ours(X), plain(X), atol=1e-5)
    for a, b in zip(jax.tree.leaves(other), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(
            *(
                jax.random.key_data(v) if jnp.issubdtype(v.dtype, jax.dtypes.prng_key) else v
                for v in (a, b)
            ),
            atol=1e-6,
        )
    plain.eval(), other.eval()
    np.testing.assert_allclose(ours(X), plain(X), atol=1e-5)
    np.testing.assert_allclose(ours(X, scale=3.0), plain(X, scale=3.0), atol=1e-5)


def test_an_ordinary_training_loop_of_flax():
    """One line is added to it: `accelerate` around the loss."""

    def trained(wrap):
        model = Network(nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)

        @nnx.jit
        def step(model, optimizer, x):
            def loss(model, x):
                return (model(x) ** 2).mean(), model.conv.kernel.sum()

            (value, _), gradients = nnx.value_and_grad(wrap(loss), has_aux=True)(model, x)
            optimizer.update(model, gradients)
            return value

        losses = [float(step(model, optimizer, X)) for _ in range(4)]
        return losses, np.asarray(model.norm.mean[...])

    losses, mean = trained(accelerate)
    expected, expected_mean = trained(lambda function: function)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-5)
    assert losses[-1] != losses[0]


def test_shared_modules_stay_shared():
    model = Network(nnx.Rngs(0)).norm

    def both(first, second):
        first.mean[...] += 1.0
        return second.mean[...]

    assert accelerate(both)(model, model)[0] == 1.0
    assert model.mean[...][0] == 1.0


def test_a_captured_module_is_never_out_of_date():
    model = nnx.Conv(2, 3, (3, 3), rngs=nnx.Rngs(0))
    function = accelerate(lambda x: 2 * model(x))
    before = function(X)
    model.kernel[...] = model.kernel[...] * 2
    np.testing.assert_allclose(function(X), 2 * before, rtol=1e-5)


def test_traced_once_for_equal_types():
    traces = []

    def function(x, options, *, times=1):
        traces.append(x.shape)
        return {"y": lax.reduce_window(x, 0.0, lax.add, (2,), (1,), "VALID") * options["a"] * times}

    ours = accelerate(function)
    for times in (1, 1, 2):
        y = ours(jnp.arange(4.0), {"a": 2.0, "b": None, "c": "text", "d": jnp.sin}, times=times)
        np.testing.assert_allclose(y["y"], times * 2 * np.array([1.0, 3.0, 5.0]))
    ours(np.arange(5.0, dtype=np.float32), {"a": 2.0}, times=1)
    ours(jnp.arange(5.0), {"a": 2.0}, times=True)
    assert len(traces) == 4  # 1 and True are equal, but not alike


def test_arguments_that_cannot_be_hashed():
    class Box:
        __hash__ = None
        value = 3.0

    ours = accelerate(lambda x, box: x * box.value)
    assert float(ours(jnp.float32(2), Box())) == 6.0


def test_errors_are_the_users():
    def wrong(x):
        return lax.conv_general_dilated(x, jnp.ones((3, 3, 5, 2)), (1, 1), "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"))  # fmt: skip

    with pytest.raises(ValueError, match="lhs feature dimension") as ours:
        accelerate(wrong)(X)
    with pytest.raises(ValueError, match="lhs feature dimension") as plain:
        wrong(X)
    assert str(ours.value) == str(plain.value)
    assert any(frame.name == "wrong" for frame in traceback.extract_tb(ours.tb))


def test_errors_after_the_trace_point_to_the_users_line():
    def zero(x):
        window = lax.reduce_window(x, 0.0, lax.add, (2,), (1,), "VALID")
        return jnp.log(window - window - 1)  # the line

    compiled = jax.jit(accelerate(zero)).lower(jnp.arange(4.0)).as_text(debug_info=True)
    assert "test_accelerate.py" in compiled
    assert "zero" in compiled


def test_without_jit_the_function_runs_as_it_is():
    def function(x):
        assert not isinstance(x, jax.core.Tracer)
        return x * (2 if x > 0 else 3)

    with jax.disable_jit():
        assert accelerate(function)(jnp.float32(1)) == 2


def test_a_scanned_training_step_has_only_fast_convolutions():
    """In the compiled program: one layout, no groups, no scatter."""
    model = nnx.Sequential(
        nnx.Conv(3, 32, (3, 3), rngs=nnx.Rngs(0)),
        nnx.relu,
        lambda x: nnx.max_pool(x, (2, 2), strides=(2, 2)),
        nnx.Conv(32, 32, (3, 3), strides=2, rngs=nnx.Rngs(1)),
        nnx.relu,
        nnx.ConvTranspose(32, 32, (3, 3), strides=(2, 2), rngs=nnx.Rngs(2)),
    )
    graph, params = nnx.split(model)

    def loss(params, x):
        return (nnx.merge(graph, params)(x) ** 2).mean()

    def text(loss):
        def step(params, x):
            gradients = jax.grad(loss)(params, x)
            return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients), None

        xs = jnp.ones((2, 4, 16, 16, 3))
        return jax.jit(lambda p: lax.scan(step, p, xs)[0]).lower(params).compile().as_text()

    assert not slow_operations(text(accelerate(loss)))
    assert slow_operations(text(loss))


def slow_operations(text):
    """The lines of a compiled program that XLA:CPU runs on its slow path."""
    marks = ("select-and-scatter(", "feature_group_count", "batch_group_count")
    return [
        line
        for line in text.splitlines()
        if any(mark in line for mark in marks)
        or (" convolution(" in line and "dim_labels=b01f_01io->b01f" not in line)
    ]


def test_flax_layers_take_the_convolution():
    arguments = {"in_features": 2, "out_features": 3, "kernel_size": (3, 3)}
    ours = nnx.Conv(
        **arguments,
        conv_general_dilated=jcnn.convolution.conv_general_dilated,
        rngs=nnx.Rngs(0),
    )
    assert "jcnn_conv" in str(jax.make_jaxpr(ours)(X))
    np.testing.assert_allclose(ours(X), nnx.Conv(**arguments, rngs=nnx.Rngs(0))(X), atol=1e-5)
