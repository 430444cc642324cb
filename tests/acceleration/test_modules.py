"""Flax modules among the arguments keep their identity, state and attributes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import accelerate

pytestmark = pytest.mark.usefixtures("promotion")

X = jax.random.normal(jax.random.key(0), (4, 6, 6, 2))


class Counting(nnx.Module):
    """A convolution with batch statistics that counts its calls and keeps its last output."""

    def __init__(self):
        self.conv = nnx.Conv(2, 2, (3, 3), rngs=nnx.Rngs(0))
        self.norm = nnx.BatchNorm(2, rngs=nnx.Rngs(0))
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        self.last = nnx.Intermediate(self.norm(self.conv(x)))
        return self.last[...] * self.calls

    def loss(self, x, *, scale=1.0):
        return scale * (self(x) ** 2).mean()


def test_new_variables_and_attributes():
    ours, plain = Counting(), Counting()
    conv = ours.conv
    function = accelerate(lambda model, x: model(x))
    for calls in (1, 2, 3):
        np.testing.assert_allclose(function(ours, X), plain(X), atol=1e-5)
        assert ours.calls == calls
        np.testing.assert_allclose(ours.last[...], plain.last[...], atol=1e-5)
        np.testing.assert_allclose(ours.norm.mean[...], plain.norm.mean[...], atol=1e-6)
    assert ours.conv is conv


@pytest.mark.parametrize(
    "call",
    [
        lambda wrap, model: wrap(model.loss)(X, scale=2.0),
        lambda wrap, model: wrap(functools.partial(Counting.loss, model))(X, scale=2.0),
        lambda wrap, model: wrap(functools.partial(model.loss, scale=2.0))(X),
        lambda wrap, model: wrap(functools.partial(functools.partial(model.loss), X))(scale=2.0),
    ],
)
def test_bound_methods_and_partials(call):
    ours, plain = Counting(), Counting()
    value, expected = call(accelerate, ours), call(lambda function: function, plain)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(ours.norm.mean[...], plain.norm.mean[...], atol=1e-6)
    assert ours.calls == 1


def test_modules_among_the_outputs():
    model = Counting()
    y, same, part, new = accelerate(
        lambda model, x: (model(x), model, {"conv": model.conv}, nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    )(model, X)
    assert y.shape == X.shape
    assert same is model
    assert part["conv"] is model.conv
    assert new(jnp.ones((1, 2))).shape == (1, 3)


def test_a_module_that_is_only_read_may_belong_to_an_outer_trace():
    frozen = Counting()
    frozen.eval()

    @jax.jit
    def outer(x):
        def inner(x):
            return frozen.norm(frozen.conv(x)).sum()

        return jax.grad(accelerate(inner))(x), accelerate(lambda m, x: m(x))(frozen.norm, x)

    expected = jax.grad(lambda x: frozen.norm(frozen.conv(x)).sum())(X)
    np.testing.assert_allclose(outer(X)[0], expected, atol=1e-5)


def test_states_are_values():
    graph, state = nnx.split(nnx.BatchNorm(2, rngs=nnx.Rngs(0)))

    @accelerate
    def step(state, x):
        model = nnx.merge(graph, state, copy=True)
        return model(x), nnx.state(model)

    before = np.asarray(state["mean"][...])
    _, after = step(state, X)
    assert isinstance(after, nnx.State)
    np.testing.assert_array_equal(state["mean"][...], before)
    assert np.abs(after["mean"][...]).max() > 0


def test_what_is_no_array_stays_what_it_is():
    @accelerate
    def function(x, count, kind, names):
        assert isinstance(count, np.int64)
        window = jnp.ones((count,)) * x
        return {"y": window, "n": int(count), "kind": kind, "f": jnp.sin, "none": None}, names[0]

    out, name = function(jnp.float32(2), np.int64(3), "text", np.array(["a", "b"]))
    assert (out["n"], out["kind"], out["f"], out["none"]) == (3, "text", jnp.sin, None)
    assert (type(out["n"]), name) == (int, "a")
    assert out["y"].shape == (3,)


def test_equal_values_that_differ():
    number = accelerate(lambda x, n: jnp.float32(n))
    assert [str(number(jnp.ones(2), n)) for n in (0.0, -0.0)] == ["0.0", "-0.0"]


def test_a_trace_depends_on_axes_and_settings():
    length = accelerate(lambda x: jnp.full((), jax.lax.axis_size("i")) * x)
    for n in (2, 3):
        assert jax.vmap(length, axis_name="i")(jnp.ones(n)).tolist() == [n] * n
    with pytest.raises(NameError):
        length(jnp.ones(()))
    drawn = accelerate(lambda x: x + jax.random.normal(jax.random.key(0), (2,)))
    first = drawn(jnp.zeros(2))
    with jax.default_prng_impl("rbg"):
        assert not np.allclose(drawn(jnp.zeros(2)), first)
    np.testing.assert_array_equal(drawn(jnp.zeros(2)), first)


def test_signatures_of_callables():
    class Callable_:
        def __call__(self, w, n):
            return w * (2 if n == "double" else 1)

    function = jax.jit(accelerate(Callable_()), static_argnames="n")
    assert float(function(jnp.float32(2), n="double")) == 4.0
    assert float(function(jnp.float32(2), "double")) == 4.0
