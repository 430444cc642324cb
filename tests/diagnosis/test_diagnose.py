"""What a diagnosis measures, against plain JAX."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jcnn
from jcnn import activations, initializers, layers, losses, models
from jcnn.diagnosis import diagnose, singular_values
from jcnn.diagnosis.effective_rank import effective_rank
from jcnn.diagnosis.remedies import CHANGES
from jcnn.diagnosis.verdicts import ORDER
from tests.diagnosis.batch import LABELS, inputs


def test_figures_are_those_of_jax_grad():
    model = models.mlp((8,), 10, hidden=(16, 12), activation=jnp.tanh, rngs=nnx.Rngs(0))
    x = inputs(32, 8)
    diagnosis = diagnose(model, x, LABELS, optimizer=optax.sgd(0.5))

    def forward(params, bumps):
        first = jnp.tanh(x @ params[0]) + bumps[0]
        second = jnp.tanh(first @ params[1]) + bumps[1]
        outputs = second @ params[2] + bumps[2]
        return jnp.mean(losses.cross_entropy(outputs, LABELS)), (first, second, outputs)

    names = ("dense_hidden1", "dense_hidden2", "output")
    kernels = [getattr(model, name).kernel[...] for name in names]
    bumps = [jnp.zeros((32, n)) for n in (16, 12, 10)]
    (loss, values), (by_kernel, by_value) = jax.value_and_grad(forward, (0, 1), has_aux=True)(
        kernels, bumps
    )
    assert diagnosis.loss == pytest.approx(float(loss), rel=1e-5)
    assert [layer.name for layer in diagnosis.layers] == list(names)
    norm = np.linalg.norm
    for i, layer in enumerate(diagnosis.layers):
        assert layer.mean == pytest.approx(float(values[i].mean()), abs=1e-5)
        assert layer.std == pytest.approx(float(values[i].std()), rel=1e-4)
        each = np.asarray(by_value[i]) * 32  # every example's own loss
        assert layer.gradient == pytest.approx(math.sqrt((each**2).sum() / 32), rel=1e-4)
        assert layer.weight_gradient == pytest.approx(float(norm(by_kernel[i])), rel=1e-4)
        ratio = 0.5 * norm(by_kernel[i]) / norm(kernels[i])
        assert layer.update_ratio == pytest.approx(float(ratio), rel=1e-4)
    assert diagnosis.layers[0].factor == pytest.approx(
        diagnosis.layers[0].gradient / diagnosis.layers[1].gradient
    )
    hidden = diagnosis.layers
    assert diagnosis.gradient_ratio == pytest.approx(hidden[0].gradient / hidden[1].gradient)


def test_saturated_and_dead_depend_on_the_activations_slope():
    class Net(nnx.Module):
        def __init__(self, activation, bias):
            self.first = layers.Dense(8, 40, bias_init=lambda *a: bias, rngs=nnx.Rngs(0))
            self.out = layers.Dense(40, 10, rngs=nnx.Rngs(1))
            self.activation = activation

        def __call__(self, x):
            return self.out(self.activation(self.first(x)))

    bias = jnp.where(jnp.arange(40) < 10, -100.0, 0.0)
    relu, tanh = (
        diagnose(Net(f, bias), inputs(32, 8), LABELS).layers[0] for f in (jax.nn.relu, jnp.tanh)
    )
    assert (relu.dead, relu.saturated) == (0.25, None)
    z = inputs(32, 8) @ Net(jnp.tanh, bias).first.kernel[...] + bias[None]
    assert tanh.saturated == pytest.approx(float((1 - jnp.tanh(z) ** 2 < 0.05).mean()), abs=1e-6)
    assert tanh.dead == 0.25  # flat for every example, though not at 0


def test_effective_rank():
    rows = np.random.default_rng(0).normal(size=(4000, 5))
    assert effective_rank(rows) == pytest.approx(5, abs=0.02)
    assert effective_rank(rows[:, :1] @ np.ones((1, 7)) + 3) == pytest.approx(1, abs=1e-6)
    assert effective_rank(np.ones((10, 3))) == 1.0


def test_singular_values_exact_and_by_products(monkeypatch):
    model = models.mlp((24,), 10, hidden=(30,), activation=jnp.tanh, rngs=nnx.Rngs(0))
    x = inputs(32, 24)
    diagnosis = diagnose(model, x, LABELS, singular_values=True)
    first, last = (getattr(model, name).kernel[...] for name in ("dense_hidden1", "output"))
    slope = 1 - jnp.tanh(x[0] @ first) ** 2
    expected = np.linalg.svd(slope[:, None] * first.T, compute_uv=False)
    values = diagnosis.layers[0].singular_values
    assert (values.largest, values.smallest) == pytest.approx((expected[0], expected[-1]), rel=1e-4)
    assert values.mean == pytest.approx(expected.mean(), rel=1e-4)
    assert values.condition == pytest.approx(expected[0] / expected[-1], rel=1e-3)
    whole = np.linalg.svd(last.T @ (slope[:, None] * first.T), compute_uv=False)
    assert diagnosis.singular_values.largest == pytest.approx(whole[0], rel=1e-4)
    monkeypatch.setattr("jcnn.diagnosis.singular.EXACT", 8)
    rough = singular_values(lambda x: jnp.tanh(x @ first), x[0])
    assert not rough.exact
    assert rough.largest == pytest.approx(expected[0], rel=1e-3)
    assert rough.root_mean_square == pytest.approx(math.sqrt((expected**2).mean()), rel=0.25)


def test_a_layer_with_few_inputs_is_not_collapsed():
    model = nnx.Sequential(
        nnx.Linear(1, 16, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(16, 10, rngs=nnx.Rngs(1))
    )
    diagnosis = diagnose(model, inputs(32, 1), LABELS)
    assert diagnosis.layers[0].effective_rank == pytest.approx(1, abs=1e-3)
    assert diagnosis.verdict == "healthy"
    first, second, out = (nnx.Linear(a, b, rngs=nnx.Rngs(0)) for a, b in ((1, 8), (8, 8), (8, 10)))
    linear_below = nnx.Sequential(first, second, nnx.relu, out)
    assert diagnose(linear_below, inputs(32, 1), LABELS).verdict == "healthy"


class TwoOutputs(nnx.Module):
    def __init__(self):
        self.layer = nnx.Linear(2, 2, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.layer(x), x


class Nothing(nnx.Module):
    def __call__(self, x):
        return jnp.tanh(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diagnose(jnp.tanh, inputs(4, 2), LABELS[:4]), "holds no parameters; expected"),
        (lambda: diagnose(TwoOutputs(), inputs(4, 2), LABELS[:4]), "expected one array"),
        (lambda: diagnose(Nothing(), inputs(4, 2), LABELS[:4]), "no layer with weights"),
        (lambda: diagnose(Nothing(), inputs(4, 2), LABELS[:3]), "expected one label"),
    ],
)
def test_errors_say_what_was_expected(call, message, unchecked_types):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_figures_are_right_even_if_their_squares_overflow(scale):
    """Float32 holds 1e-38 to 1e38; a sum of squares overflows at 1e19 and vanishes at 1e-19."""
    model = models.mlp((16,), 4, hidden=(8,), activation=activations.identity, rngs=nnx.Rngs(0))
    model.dense_hidden1.kernel[...] *= scale
    model.output.kernel[...] /= scale
    diagnosis = diagnose(model, inputs(32, 16), LABELS % 4)
    plain = models.mlp((16,), 4, hidden=(8,), activation=activations.identity, rngs=nnx.Rngs(0))
    reference = diagnose(plain, inputs(32, 16), LABELS % 4)
    first, expected = diagnosis.layers[0], reference.layers[0]
    assert first.std == pytest.approx(scale * expected.std, rel=1e-3)
    assert first.gradient == pytest.approx(expected.gradient / scale, rel=1e-3)
    assert first.weight_gradient == pytest.approx(expected.weight_gradient / scale, rel=1e-3)
    assert "not_finite" not in [verdict.kind for verdict in diagnosis.verdicts]


def test_weights_that_would_not_keep_the_gradient_are_not_a_remedy():
    def remedy_of(activation, kernel_init):
        model = models.mlp(
            (16,), 4, hidden=(32,) * 10, activation=activation, kernel_init=kernel_init,
            rngs=nnx.Rngs(0),
        )  # fmt: skip
        diagnosis = diagnose(model, inputs(32, 16), LABELS % 4)
        assert diagnosis.verdict == "vanishing"
        return diagnosis.remedies[0]

    small = initializers.normal(0.05)
    assert "glorot_normal (predicted factor 1.00" in remedy_of(jnp.tanh, small)
    # In theory, the gradient of a sigmoid network with them shrinks by three quarters per layer.
    assert "glorot_normal" not in remedy_of(jax.nn.sigmoid, small)
    assert "relu with he_normal" in remedy_of(jax.nn.sigmoid, small)


def test_every_verdict_has_remedies():
    assert set(CHANGES) == set(ORDER)
    for changes in CHANGES.values():
        for change in changes:
            for kind, name in change.items():
                jcnn.names.lookup(kind, name)
