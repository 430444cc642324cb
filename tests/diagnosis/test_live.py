"""A watch in one's own loop: the same figures as `diagnose`, verdicts that change, trackers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jcnn
from jcnn import losses, models
from jcnn.diagnosis import Examination, LayerWatch
from jcnn.report import plot_layers

X, LABELS = jax.random.normal(jax.random.key(0), (64, 8, 8, 1)), jnp.arange(64) % 3


@pytest.fixture(autouse=True)
def promotion():
    with jax.numpy_dtype_promotion("standard"):  # Optax's Adam multiplies float by int32
        yield


def cnn(**changed):
    return models.lenet((8, 8, 1), 3, features=(4, 4), hidden=(8,), rngs=nnx.Rngs(0), **changed)


def loss_of(model, x, labels):
    return losses.cross_entropy(model(x), labels).mean()


@nnx.jit
def train_step(model, optimizer, x, labels):
    loss, gradients = nnx.value_and_grad(loss_of)(model, x, labels)
    optimizer.update(model, gradients)
    return loss


def figures_of(diagnosis):
    names = ("std", "gradient", "update_ratio")
    return {name: [getattr(layer, name) for layer in diagnosis.layers] for name in names}


def test_it_looks_every_few_steps_and_says_what_diagnose_says():
    model = cnn()
    optimizer = nnx.Optimizer(model, optax.adam(0.01), wrt=nnx.Param)
    watch = jcnn.watch(model, X, LABELS, every=4, optimizer=optimizer)
    for step in range(10):
        before = jax.tree.leaves(nnx.state(model))
        found = watch(step, model, optimizer)
        assert all(np.array_equal(a, b) for a, b in zip(before, jax.tree.leaves(nnx.state(model)),
                                                        strict=True))  # fmt: skip
        assert (found is not None) == (step % 4 == 0)
        if found is not None:
            expected = jcnn.diagnose(model, X, LABELS, optimizer=optimizer)
            for name, values in figures_of(expected).items():
                np.testing.assert_allclose(figures_of(found)[name], values, rtol=1e-5)
            assert found.verdict == expected.verdict
        train_step(model, optimizer, X, LABELS)
    assert watch.history.steps == [0, 4, 8]
    assert [one.step for one in watch.diagnoses] == [0, 4, 8]
    assert len(watch.rows) == 3
    assert watch.history.update_ratio[0] != watch.history.update_ratio[2]
    assert plot_layers(watch.history).axes


def test_the_state_of_the_optimizer_counts():
    model, tx = cnn(), optax.adam(optax.linear_schedule(0.1, 0.0, 10))
    watch = jcnn.watch(model, X, LABELS, every=1, optimizer=tx)
    params = nnx.as_pure(nnx.state(model, nnx.Param))
    state = tx.init(params)
    watch(0, model)
    watch(1, model, state)
    for _ in range(10):  # the rate falls to 0
        _, state = tx.update(jax.tree.map(jnp.ones_like, params), state, params)
    watch(2, model, state)
    first, given, last = watch.history.update_ratio
    assert first == pytest.approx(given, rel=1e-5)  # two programs
    assert max(last) < 1e-5 * min(first)


def test_the_pure_form_in_ones_own_step():
    model = cnn()
    optimizer = nnx.Optimizer(model, optax.adam(0.01), wrt=nnx.Param)
    watch = jcnn.watch(model, X, LABELS, optimizer=optimizer, on_change=None)

    @nnx.jit
    def step_and_look(model, optimizer, x, labels):
        figures = watch.measure(model, x, labels, optimizer)
        loss, gradients = nnx.value_and_grad(loss_of)(model, x, labels)
        optimizer.update(model, gradients)
        return loss, figures

    other = jax.random.normal(jax.random.key(1), X.shape)
    for step in range(3):
        expected = jcnn.diagnose(model, other, LABELS, optimizer=optimizer)
        loss, figures = step_and_look(model, optimizer, other, LABELS)
        found = watch.record(10 * step, figures)
        assert float(loss) == pytest.approx(expected.loss, rel=1e-4)
        for name, values in figures_of(expected).items():
            np.testing.assert_allclose(getattr(watch.history, name)[-1], values, rtol=1e-3)
        assert found.step == 10 * step
    assert watch.history.steps == [0, 10, 20]


def test_in_a_scan_of_plain_jax():
    model = cnn()
    watch = jcnn.watch(model, X, LABELS, on_change=None)
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def train(params):
        def step(params, _):
            merged = nnx.merge(graph, params, rest)
            figures = watch.measure(merged, X, LABELS)
            gradients = jax.grad(lambda p: loss_of(nnx.merge(graph, p, rest), X, LABELS))(params)
            return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients), figures

        return jax.lax.scan(step, params, length=3)

    _, figures = train(params)
    for i in range(3):
        watch.record(i, jax.tree.map(lambda values, i=i: values[i], figures))
    np.testing.assert_allclose(
        watch.history.gradient[0],
        [layer.gradient for layer in jcnn.diagnose(model, X, LABELS).layers],
        rtol=1e-5,
    )
    assert watch.history.gradient[0] != watch.history.gradient[2]


def test_verdicts_are_told_when_they_change():
    model = cnn(activation=nnx.relu)
    lines, rows = [], []
    watch = jcnn.watch(
        model, X, LABELS, every=1, to=[lambda row, step: rows.append((step, row))],
        on_change=lines.append,
    )  # fmt: skip
    watch(0, model)
    assert lines == []
    bias = model.conv1.bias
    kept = bias.get_value()
    bias.set_value(jnp.full_like(kept, -100.0))
    assert watch(1, model).verdict == "dead"
    assert watch(2, model).verdict == "dead"
    bias.set_value(kept)
    watch(3, model)
    assert lines == [
        "step 1: healthy -> dead at conv1",
        "step 3: dead at conv1 -> healthy",
    ]
    assert [step for step, _ in rows] == [0, 1, 2, 3]
    assert rows[1][1]["dead/conv1"] == 1.0
    assert rows[0][1] == watch.rows[0]
    assert "saturated/output" not in rows[0][1]  # no activation follows


def test_what_cannot_be_watched_is_refused():
    model = cnn()
    with pytest.raises(ValueError, match="every=0; expected at least 1"):
        LayerWatch(Examination(model, X, LABELS), every=0)
    with pytest.raises(ValueError, match="to has a str; expected functions of a row and a step"):
        jcnn.watch(model, X, LABELS, to=["wandb"])
    watch = jcnn.watch(model, X, LABELS)
    with pytest.raises(ValueError, match=r"x is float32 \(32, 8, 8, 1\); the network was traced"):
        watch.measure(model, X[:32], LABELS[:32])
    with pytest.raises(ValueError, match="other variables than the one that was traced"):
        watch(0, cnn(normalization=jcnn.layers.batch_norm))
