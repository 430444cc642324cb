"""Studies end to end: learning, pairing, groups, traced numbers, divergence, precision."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import layers, models
from jcnn.study import Study
from jcnn.study.factors import group
from tests.small import NARROW, SMALL, blobs, linear


@pytest.fixture(scope="module")
def result():
    factors = {"activation": ["tanh", "relu"], "kernel_init": ["he_normal", "orthogonal"]} | NARROW
    return Study(model="mlp", factors=factors, **SMALL).run()


def test_a_study_learns_and_ranks(result):
    rows = result.ranking()
    assert [row.mean for row in rows] == sorted((row.mean for row in rows), reverse=True)
    assert rows[0].mean > 0.5
    assert len(result.records) == 2 * 2 * 2 * 2
    assert all(len(curve["validation_accuracy"]) == 2 for curve in result.curves())
    assert len(result.effects()) == 2
    stored = json.loads(result.to_json())
    assert stored["ranking"][0]["levels"] == rows[0].levels
    assert stored["ranking"][0]["mean"] == rows[0].mean
    assert stored["ranking"][0]["interval"] == {"low": None, "high": None}  # two seeds give none
    assert [row["may_be_best"] for row in stored["ranking"]] == [True] * 4


def test_the_rate_is_chosen_on_validation_alone(result):
    for row in result.ranking():
        mine = [r for r in result.records if r.combination == row.combination]
        means = {
            rate: np.mean(
                [
                    r.outcome.curves["validation_accuracy"][-1]
                    for r in mine
                    if r.learning_rate == rate
                ]
            )
            for rate in (0.1, 0.03)
        }
        assert means[row.learning_rate] == max(means.values())


def test_the_same_study_gives_the_same_numbers(result):
    factors = {"activation": ["tanh"], "kernel_init": ["orthogonal"]} | NARROW
    again = Study(model="mlp", factors=factors, **SMALL).run()
    before = [r.outcome.curves["train_loss"] for r in result.records if r.combination == 1]
    after = [r.outcome.curves["train_loss"] for r in again.records]
    np.testing.assert_allclose(before, after, rtol=1e-5)


def test_initializers_rates_and_seeds_share_a_program():
    study = Study(
        factors={
            "activation": ["tanh", "relu"],
            "kernel_init": ["he_normal", "orthogonal", "normal:0.01"],
            "weight_decay": [0.0, 0.01],
        }
    )
    assert len(study.combinations) == 12
    assert study.compilations == 2
    assert group(study.combinations)[0] == list(range(6))


def test_traced_numbers_matter():
    study = Study(
        data=blobs(),
        model=linear,
        factors={"weight_decay": [0.0, 1.0]},
        epochs=3,
        seeds=1,
        learning_rates=[0.1],
        batch_size=32,
    )
    found = study.run()
    losses = [record.outcome.curves["train_loss"][-1] for record in found.records]
    assert losses[1] > losses[0] * 1.05


def test_a_diverged_run_is_a_result():
    found = Study(
        data="digits-rotated",
        model="mlp",
        factors={},
        epochs=2,
        seeds=2,
        learning_rates=[1e-2, 1e6],
        batch_size=128,
    ).run()
    diverged = [r for r in found.records if r.outcome.diverged_at is not None]
    assert {r.learning_rate for r in diverged} == {1e6}
    assert 0 < diverged[0].outcome.diverged_at < 10
    (row,) = found.ranking()
    assert (row.learning_rate, row.diverged, row.runs) == (1e-2, 2, 4)
    assert found.metric.name == "error"
    json.loads(found.to_json())
    for record in diverged:
        assert np.isnan([curve[-1] for curve in record.outcome.curves.values()]).all()
        assert np.isnan(list(record.outcome.test.values())).all()


def test_two_classes_as_one_logit():
    found = Study(
        data=blobs(),
        model=linear,
        factors={},
        task="binary",
        epochs=3,
        seeds=1,
        learning_rates=[0.1],
        batch_size=32,
    ).run()
    assert found.ranking()[0].mean > 0.8


def test_a_model_of_plain_flax_layers_with_dropout_and_batch_norm_trains():
    class Net(nnx.Module):
        def __init__(self, width=8, *, rngs):
            self.dense = nnx.Linear(6, width, rngs=rngs)
            self.norm = nnx.BatchNorm(width, rngs=rngs)
            self.dropout = nnx.Dropout(0.1, rngs=rngs)
            self.out = nnx.Linear(width, 2, rngs=rngs)

        def __call__(self, x):
            return self.out(self.dropout(nnx.relu(self.norm(self.dense(x)))))

    found = Study(
        data=blobs(),
        model=Net,
        factors={"width": [16]},
        epochs=4,
        seeds=2,
        learning_rates=[0.1],
        batch_size=32,
    ).run()
    assert found.ranking()[0].mean > 0.8


ONE_RUN = SMALL | {"model": "mlp", "seeds": 1, "learning_rates": [0.1], "epochs": 1}


def test_augmentation_is_paired_over_combinations():
    seen = []

    def record(key, images):
        jax.debug.callback(lambda k, x: seen.append((k.tolist(), float(x.sum()))), key, images[:1])
        return images

    def raw(key, images):
        return record(jax.random.key_data(key), images)

    keywords = ONE_RUN | {"batch_size": 256, "augmentation": raw}
    Study(factors={"activation": ["tanh", "relu"]} | NARROW, **keywords).run()
    assert len(seen) == 2 * 4
    assert sorted(map(str, seen[:4])) == sorted(map(str, seen[4:]))
    assert len({str(key) for key, _ in seen}) == 4


@pytest.mark.slow
def test_augmentation_changes_training():
    factors = {"augmentation": ["none", "shift:2+flip", "cutout:3"]} | NARROW
    found = Study(factors=factors, **ONE_RUN).run()
    losses = [record.outcome.curves["train_loss"][0] for record in found.records]
    assert len(set(losses)) == 3


def test_bfloat16_computes_in_it_and_keeps_float32_parameters():
    kept = []

    def model(input_shape, outputs, *, dtype, normalization=layers.batch_norm, rngs):
        made = models.lenet(
            input_shape, outputs, features=(4,), normalization=normalization, dtype=dtype, rngs=rngs
        )
        kept.append((made.conv1.dtype, {v.dtype for v in jax.tree.leaves(nnx.state(made))}))
        _, values = made.intermediates(jnp.ones((2, *input_shape)))
        kept.append({str(value.dtype) for value in values.values()})
        return made

    found = Study(model=model, factors={}, dtype="bfloat16", **SMALL).run()
    assert kept[0] == (jnp.bfloat16, {jnp.dtype("float32"), *kept[0][1]} - {jnp.dtype("bfloat16")})
    assert kept[1] == {"bfloat16"}
    assert found.ranking()[0].mean > 0.5
    assert Study(factors={}, dtype="bfloat16").describe()["dtype"] == "bfloat16"
