"""Figures and verdicts on graphs of layers: branches, sums, gates, several heads, shared layers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jcnn import initializers, losses
from jcnn.diagnosis import diagnose
from tests.diagnosis.batch import inputs

LABELS = jnp.arange(32) % 10
HE = nnx.initializers.he_normal()


class Net(nnx.Module):
    """A network that adds a bump to each named value, by which the loss is differentiated."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.stem = nnx.Conv(1, 8, (3, 3), rngs=rngs)
        self.a, self.b = (nnx.Conv(8, 8, (3, 3), rngs=rngs) for _ in range(2))
        self.side = nnx.Conv(8, 8, (1, 1), rngs=rngs)
        self.wide = nnx.Linear(16, 8, rngs=rngs)
        self.head, self.other = nnx.Linear(8, 10, rngs=rngs), nnx.Linear(8, 10, rngs=rngs)
        self.bumps = nnx.data(None)

    def at(self, name, value):
        return value if self.bumps is None else value + self.bumps[name]


class ProjectionShortcut(Net):
    """The stem's output feeds two layers, whose outputs are summed before an activation."""

    def __call__(self, x):
        h = self.at("stem", nnx.relu(self.stem(x)))
        a = self.at("a", nnx.relu(self.a(h)))
        joined = self.at("side", self.at("b", nnx.relu(self.b(a) + self.side(h))))
        return self.at("head", self.head(jnp.mean(joined, (1, 2))))


class IgnoredSide(Net):
    """A layer that the output does not depend on, called before those that it does."""

    def __call__(self, x):
        h = self.at("stem", nnx.relu(self.stem(x)))
        self.side(h)
        a = self.at("a", nnx.relu(self.a(h)))
        return self.at("head", self.head(jnp.mean(a, (1, 2))))


class ScaledSum(Net):
    def __call__(self, x):
        h = self.at("stem", nnx.tanh(self.stem(x)))
        a = self.at("a", nnx.tanh(self.a(h)))
        h = h + 0.3 * a
        b = self.at("b", nnx.tanh(self.b(h)))
        return self.at("head", self.head(jnp.mean(0.5 * b + h - 0.1 * a, (1, 2))))


class Concatenation(Net):
    """Branches whose layers are called before the activation of either."""

    def __call__(self, x):
        h = self.at("stem", nnx.relu(self.stem(x)))
        a, b = self.a(h), self.b(h)
        a, b = self.at("a", nnx.relu(a)), self.at("b", nnx.tanh(b))
        joined = self.at("wide", nnx.relu(self.wide(jnp.concatenate([a, b], axis=-1))))
        return self.at("head", self.head(jnp.mean(joined, (1, 2))))


class Gate(Net):
    def __call__(self, x):
        h = self.at("stem", nnx.relu(self.stem(x)))
        a, b = self.at("a", self.a(h)), self.at("b", nnx.sigmoid(self.b(h)))
        return self.at("head", self.head(jnp.mean(a * b, (1, 2))))


class Shared(Net):
    """One layer called twice; the first output is also read at the end."""

    def __call__(self, x):
        h = self.at("stem", nnx.relu(self.stem(x)))
        first = self.at("a", nnx.relu(self.a(h)))
        second = self.at("a (call 2)", nnx.relu(self.a(first)))
        return self.at("head", self.head(jnp.mean(second + first, (1, 2))))


class Heads(Net):
    def __call__(self, x):
        h = self.at("stem", nnx.relu(self.stem(x)))
        a = self.at("a", nnx.relu(self.a(h)))
        return (
            self.at("head", self.head(jnp.mean(a, (1, 2)))),
            self.at("other", self.other(jnp.mean(h, (1, 2)))),
        )


def loss(outputs, labels):
    if not isinstance(outputs, tuple):
        outputs = (outputs,)
    return sum(losses.cross_entropy(each, labels) for each in outputs)


@pytest.mark.parametrize(
    "kind", [ProjectionShortcut, IgnoredSide, ScaledSum, Concatenation, Gate, Shared, Heads]
)
def test_gradients_are_those_by_hand(kind):
    model, x = kind(), inputs(32, 8, 8, 1)
    diagnosis = diagnose(model, x, LABELS, loss)
    assert diagnosis.verdict == "healthy"
    layers = {layer.name: layer for layer in diagnosis.layers}

    def total(bumps):
        copy = nnx.clone(model)
        copy.bumps = nnx.data(bumps)
        return jnp.mean(loss(copy(x), LABELS))

    bumps = {
        name: jnp.zeros((32, *layer.shape))
        for name, layer in layers.items()
        if layer.verdict != "unused"
    }
    for name, gradient in jax.grad(total)(bumps).items():
        by_hand = float(jnp.sqrt(32.0) * jnp.linalg.norm(gradient.ravel()))
        assert layers[name].gradient == pytest.approx(by_hand, rel=1e-4), name
    unused = {name for name, layer in layers.items() if layer.verdict == "unused"}
    assert unused == ({"side"} if kind is IgnoredSide else set())


class Residual(nnx.Module):
    """Blocks on a stream; one branch of several dense layers may hold a planted fault."""

    def __init__(self, *, init=HE, activation=nnx.relu, bias=0.0, frozen=False, depth=3, scale=1.0):
        rngs = nnx.Rngs(0)
        self.stem = nnx.Linear(64, 64, kernel_init=HE, rngs=rngs)
        self.branches = nnx.List(
            [
                nnx.List(
                    [
                        nnx.Linear(
                            64, 64, rngs=rngs,
                            kernel_init=init if i == 1 else HE,
                            bias_init=nnx.initializers.constant(bias if (i, j) == (1, 1) else 0.0),
                        )
                        for j in range(depth)
                    ]
                )
                for i in range(3)
            ]
        )  # fmt: skip
        self.norms = nnx.List([nnx.LayerNorm(64, rngs=rngs) for _ in range(3)])
        self.head = nnx.Linear(64, 10, rngs=rngs)
        self.activation, self.frozen, self.scale = activation, frozen, scale

    def __call__(self, x):
        x = nnx.relu(self.stem(x))
        for i, (norm, branch) in enumerate(zip(self.norms, self.branches, strict=True)):
            y = norm(x)
            for j, layer in enumerate(branch):
                z = layer(y)
                if self.frozen and (i, j) == (1, 1):
                    z = y @ jax.lax.stop_gradient(layer.kernel[...])
                y = (self.activation if i == 1 else nnx.relu)(z)
            x = x + self.scale * y
        return self.head(x)


def rank_one(key, shape, dtype=jnp.float32):
    return (
        jnp.outer(
            *(jax.random.normal(k, (n,)) for k, n in zip(jax.random.split(key), shape, strict=True))
        )
        / 8
    )


@pytest.mark.parametrize(
    ("verdict", "layer", "options"),
    [
        ("healthy", None, {}),
        ("healthy", None, {"scale": 1e-6}),
        ("healthy", None, {"scale": 0.0}),  # never learns, but a path leads past it
        ("dead", "branches.1.1", {"bias": -100.0}),
        ("saturated", "branches.1.0", {"activation": nnx.tanh, "init": initializers.normal(0.6)}),
        ("vanishing", "branches.1.8", {
            "activation": nnx.sigmoid, "init": initializers.normal(0.01), "depth": 10}),
        ("exploding", None, {
            "activation": nnx.relu, "init": initializers.normal(1.0), "depth": 10}),
        ("collapsed", "branches.1.0", {"init": rank_one}),
    ],
)  # fmt: skip
def test_faults_inside_a_branch(verdict, layer, options):
    x = jax.random.normal(jax.random.key(1), (128, 64))
    diagnosis = diagnose(Residual(**options), x, jnp.arange(128) % 10)
    assert diagnosis.verdict == verdict, diagnosis.verdicts
    if layer is not None:
        assert diagnosis.verdicts[0].layer == layer


def test_a_gradient_that_no_path_carries_past_a_branch_vanishes():
    """Two weak paths in parallel are a vanishing gradient; one weak path is not."""

    class Parallel(nnx.Module):
        def __init__(self, second):
            rngs = nnx.Rngs(0)
            self.stem = nnx.Linear(64, 64, kernel_init=HE, rngs=rngs)
            self.one, self.two = (nnx.Linear(64, 64, kernel_init=HE, rngs=rngs) for _ in range(2))
            self.top, self.head = (nnx.Linear(64, n, kernel_init=HE, rngs=rngs) for n in (64, 10))
            self.second = second

        def __call__(self, x):
            x = nnx.relu(self.stem(x))
            x = 1e-5 * nnx.relu(self.one(x)) + self.second * nnx.tanh(self.two(x))
            return self.head(nnx.relu(self.top(x + jnp.ones_like(x))))

    x = jax.random.normal(jax.random.key(1), (128, 64))
    labels = jnp.arange(128) % 10
    assert diagnose(Parallel(1.0), x, labels).verdict == "healthy"
    fault = diagnose(Parallel(1e-5), x, labels).verdicts[0]
    assert (fault.kind, fault.layer) == ("vanishing", "two")


ENDS = {
    "argmax": lambda z: jax.nn.one_hot(jnp.argmax(z, -1), 10),
    "sign": jnp.sign,
    "stop_gradient": jax.lax.stop_gradient,
    "rounded": jnp.round,
}


@pytest.mark.parametrize("end", ENDS)
def test_a_network_without_a_gradient_is_not_healthy(end):
    model = nnx.Sequential(nnx.Linear(16, 10, rngs=nnx.Rngs(0)), ENDS[end])
    diagnosis = diagnose(model, inputs(32, 16), LABELS)
    assert diagnosis.verdict == "no_gradient"
    assert "derivative" in diagnosis.remedies[0]


def test_accuracy_is_no_loss():
    def accuracy(outputs, labels):
        return (jnp.argmax(outputs, -1) == labels).astype(jnp.float32)

    model = nnx.Linear(16, 10, rngs=nnx.Rngs(0))
    assert diagnose(model, inputs(32, 16), LABELS, accuracy).verdict == "no_gradient"


def test_weights_of_zeros_everywhere_are_not_a_branch_that_is_off():
    def dense(n, m):
        return nnx.Linear(n, m, kernel_init=nnx.initializers.zeros, rngs=nnx.Rngs(0))

    for activation in (nnx.relu, jnp.tanh, nnx.sigmoid):
        model = nnx.Sequential(dense(16, 32), activation, dense(32, 32), activation, dense(32, 10))
        assert diagnose(model, inputs(32, 16), LABELS).verdict != "healthy", activation


def test_updates_are_those_of_a_running_optimizer():
    model = nnx.Sequential(
        nnx.Linear(16, 32, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(32, 10, rngs=nnx.Rngs(1))
    )
    x = inputs(32, 16)
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        gradients = nnx.grad(lambda m: jnp.mean(losses.cross_entropy(m(x), LABELS)))(model)
        optimizer.update(model, gradients)

    with jax.numpy_dtype_promotion("standard"):
        for _ in range(5):
            step(model, optimizer)
    with jax.numpy_dtype_promotion("standard"):
        before = model.layers[0].kernel[...]
        running = diagnose(model, x, LABELS, optimizer=optimizer).layers[0].update_ratio
        first = diagnose(model, x, LABELS, optimizer=optax.adam(1e-2)).layers[0].update_ratio
        state = diagnose(
            model, x, LABELS, optimizer=optax.adam(1e-2), optimizer_state=optimizer.opt_state
        )
        step(model, optimizer)
    change = np.linalg.norm(model.layers[0].kernel[...] - before) / np.linalg.norm(before)
    assert running == pytest.approx(change, rel=1e-3)
    assert state.layers[0].update_ratio == pytest.approx(change, rel=1e-3)
    assert first != pytest.approx(change, rel=0.05)
