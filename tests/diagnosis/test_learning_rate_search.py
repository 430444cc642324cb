"""The learning-rate finder: pure, scaled as the loss is, and near what a sweep chooses."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jcnn import layers, losses, models
from jcnn.cli import main
from jcnn.diagnosis import find_learning_rate
from jcnn.study import Study
from jcnn.study.first_combination import find_rate_first
from tests.slow import short_first

X = jax.random.normal(jax.random.key(0), (256, 16))
LABELS = (jnp.sum(X[:, :3], axis=1) > 0).astype(jnp.int32)


def net():
    return models.mlp((16,), 2, hidden=(32,), rngs=nnx.Rngs(0))


class OfTwo(nnx.Module):
    """A network of two inputs, as a dict or as two arguments."""

    def __init__(self):
        self.net = net()

    def __call__(self, x, more=None):
        a, b = (x["a"], x["b"]) if isinstance(x, dict) else (x, more)
        return self.net(jnp.concatenate([a, b], axis=1))


def test_several_inputs():
    expected = find_learning_rate(net(), X, LABELS, steps=5, per_decade=1)
    rows = find_learning_rate(net(), X.tolist(), LABELS, steps=5, per_decade=1)
    np.testing.assert_allclose(rows.losses, expected.losses, rtol=1e-5)
    for inputs in ({"a": X[:, :4], "b": X[:, 4:]}, (X[:, :4], X[:, 4:])):
        found = find_learning_rate(OfTwo(), inputs, LABELS, steps=5, per_decade=1)
        np.testing.assert_allclose(found.losses, expected.losses, rtol=1e-5)
    with pytest.raises(ValueError, match=r"inputs .256, 4., .200, 12. and targets .256,."):
        find_learning_rate(OfTwo(), (X[:, :4], X[:200, 4:]), LABELS)


class Everything(nnx.Module):
    """Parameters, batch statistics and random keys."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first, self.norm = layers.Dense(16, 8, rngs=rngs), layers.batch_norm(8, rngs=rngs)
        self.drop, self.out = nnx.Dropout(0.5, rngs=rngs), layers.Dense(8, 2, rngs=rngs)

    def __call__(self, x):
        return self.out(self.drop(nnx.relu(self.norm(self.first(x)))))


def test_the_model_does_not_change():
    model = Everything()

    def values():
        state = nnx.state(model)
        return [
            np.asarray(
                jax.random.key_data(leaf)
                if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
                else leaf
            )
            for leaf in jax.tree.leaves(state)
        ]

    before = values()
    first = find_learning_rate(model, X, LABELS, steps=5)
    for old, new in zip(before, values(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert find_learning_rate(model, X, LABELS, steps=5) == first


def test_a_loss_ten_times_as_large_needs_a_tenth_of_the_learning_rate():
    def tenfold(outputs, labels):
        return 10 * losses.cross_entropy(outputs, labels)

    plain = find_learning_rate(net(), X, LABELS, lowest=1e-4, highest=10.0, steps=20)
    scaled = find_learning_rate(net(), X, LABELS, tenfold, lowest=1e-5, highest=1.0, steps=20)
    assert scaled.rate == pytest.approx(plain.rate / 10, rel=1e-4)
    np.testing.assert_allclose(np.array(scaled.losses) / 10, plain.losses, rtol=1e-3)


def test_another_optimizer():
    with jax.numpy_dtype_promotion("standard"):  # Optax's Adam multiplies float by int32
        search = find_learning_rate(net(), X, LABELS, optimizer=optax.adam)
    assert 3e-3 < search.rate < 0.3


def test_learning_rates_that_diverge_have_no_loss_and_are_not_chosen():
    def squared(outputs, targets):
        return jnp.sum(jnp.square(outputs), axis=-1)

    linear = layers.Dense(16, 2, rngs=nnx.Rngs(0))
    search = find_learning_rate(linear, X, LABELS, squared, lowest=1e-3, highest=1e3)
    assert math.isnan(search.losses[-1])
    assert search.rate < 0.5


def test_without_learning_there_is_no_learning_rate():
    class Frozen(nnx.Module):
        def __init__(self):
            self.out = layers.Dense(16, 2, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return jax.lax.stop_gradient(self.out(x)) * 0

    assert math.isnan(find_learning_rate(Frozen(), X, LABELS, steps=4).rate)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lowest": 1.0, "highest": 0.1}, "lowest < highest"),
        ({"lowest": 0.0}, "lowest < highest"),
        ({"steps": 0}, "at least 1"),
        ({"repeats": 0}, "at least 1"),
    ],
)
def test_arguments_that_do_not_fit(changed, message):
    with pytest.raises(ValueError, match=message):
        find_learning_rate(net(), X, LABELS, **changed)
    with pytest.raises(ValueError, match="one target"):
        find_learning_rate(net(), X, LABELS[:5])


@pytest.mark.parametrize(
    ("model", "factors"), short_first([("mlp", {"hidden": [(16,)]}), ("lenet", {})])
)
def test_the_learning_rate_is_close_to_a_sweeps_choice(model, factors):
    """All built-in models: experiments/learning_rate_finder.py."""
    rates = [float(f"{10 ** (k / 4):.3g}") for k in range(-10, 3)]
    study = Study(
        model=model,
        factors={"optimizer": ["sgd"]} | factors,
        learning_rates=rates,
        seeds=2,
    )
    (row,) = study.run().ranking()
    assert 1 / 3 <= find_rate_first(study).rate / row.learning_rate <= 3


def test_the_command(capsys, tmp_path):
    picture = tmp_path / "rates.png"
    command = ["find-lr", "mlp", "--factor", "hidden", "16,", "--steps", "10"]
    assert main([*command, "--plot", str(picture)]) == 0
    assert "learning rate 0." in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main([*command, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["rate"] in printed["rates"]
    assert main(["find-lr", "--lowest", "2"]) == 2
    assert "lowest < highest" in capsys.readouterr().err
