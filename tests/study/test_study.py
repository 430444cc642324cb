"""Studies end to end: learning, pairing, groups, traced numbers, divergence, output, errors."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jcnn
from jcnn import data, engine, layers, models, names, training
from jcnn.study import Study
from jcnn.study.file import KEYS, read_study
from jcnn.study.plan import group
from jcnn.training import optimizers

SMALL = {"epochs": 2, "seeds": 2, "learning_rates": [0.1, 0.03], "batch_size": 128}


def blobs(n=200, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    x = rng.normal(size=(n, 6)) + 2 * labels[:, None]
    return x.astype(np.float32), labels


def linear(input_shape, outputs, *, kernel_init=jcnn.initializers.lecun_normal, rngs):
    return layers.Dense(input_shape[0], outputs, kernel_init=kernel_init, rngs=rngs)


def flat_model(*, rngs):
    return layers.Flatten()


@pytest.fixture(scope="module")
def result():
    factors = {"activation": ["tanh", "relu"], "kernel_init": ["he_normal", "orthogonal"]}
    return Study(factors=factors, **SMALL).run()


def test_a_study_learns_and_ranks(result):
    rows = result.ranking()
    assert [row.mean for row in rows] == sorted((row.mean for row in rows), reverse=True)
    assert rows[0].mean > 0.5
    assert len(result.records) == 2 * 2 * 2 * 2
    assert all(len(curve["validation_accuracy"]) == 2 for curve in result.curves())
    assert len(result.effects()) == 2
    assert json.loads(result.to_json())["ranking"][0]["levels"] == rows[0].levels


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
    factors = {"activation": ["tanh"], "kernel_init": ["orthogonal"]}
    again = Study(factors=factors, **SMALL).run()
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


def test_epoch_orders_are_paired_and_complete():
    first = engine.group.epoch_batches(3, 0, 100, 10)
    np.testing.assert_array_equal(first, engine.group.epoch_batches(3, 0, 100, 10))
    assert sorted(first.ravel()) == list(range(100))
    assert (first != engine.group.epoch_batches(4, 0, 100, 10)).any()
    assert (first != engine.group.epoch_batches(3, 1, 100, 10)).any()
    with pytest.raises(ValueError, match="use a smaller batch"):
        engine.steps_per_epoch(10, 64)


def test_a_run_equals_a_loop_written_by_hand():
    """The engine's mapped, sharded program against one model, Optax and a Python loop."""
    import optax

    x, y = blobs()
    study = Study(
        data=(x, y),
        model=linear,
        factors={},
        epochs=2,
        seeds=[5],
        learning_rates=[0.1],
        batch_size=40,
    )
    outcome = study.run().records[0].outcome
    dataset = data.from_arrays(x, y)
    keep, held = data.split_validation(dataset.train_targets, 0.2, stratify=True)
    inputs = (dataset.train_inputs - dataset.mean) / dataset.std
    model = linear((6,), 2, rngs=nnx.Rngs(jax.random.key(5)))
    params = {"k": model.kernel[...], "b": model.bias[...]}
    optimizer = optax.sgd(0.1, momentum=0.9)
    state = optimizer.init(params)

    def loss(p, x, t):
        logits = x @ p["k"] + p["b"][None]
        return optax.softmax_cross_entropy_with_integer_labels(logits, t).mean()

    means = []
    for epoch in range(2):
        values = []
        for batch in engine.group.epoch_batches(5, epoch, len(keep), 40):
            at = keep[batch]
            value, grads = jax.value_and_grad(loss)(params, inputs[at], dataset.train_targets[at])
            updates, state = optimizer.update(grads, state)
            params = optax.apply_updates(params, updates)
            values.append(float(value))
        means.append(np.mean(values))
    np.testing.assert_allclose(outcome.curves["train_loss"], means, rtol=1e-4)
    expected = loss(params, inputs[held], dataset.train_targets[held])
    np.testing.assert_allclose(outcome.curves["validation_loss"][-1], expected, rtol=1e-4)


def test_chunks_do_not_change_the_numbers(monkeypatch):
    study = Study(
        data=blobs(),
        model=linear,
        factors={},
        epochs=2,
        seeds=2,
        batch_size=32,
        learning_rates=[0.1],
    )
    whole = study.run().records
    monkeypatch.setattr(engine.group, "SECONDS_PER_CALL", 0)
    ticks = []
    parts = study.run(on_progress=ticks.append).records
    assert len(ticks) > 2 * study.epochs
    assert [record.outcome for record in whole] == [record.outcome for record in parts]


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
    assert found.metric == "error"
    json.loads(found.to_json())


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
        factors={"width": [4, 16]},
        epochs=4,
        seeds=2,
        learning_rates=[0.1],
        batch_size=32,
    ).run()
    assert found.ranking()[0].mean > 0.8


@pytest.mark.parametrize("optimizer", names.TABLES["optimizer"])
def test_every_optimizer_lowers_a_quadratic(optimizer):
    make = names.lookup("optimizer", optimizer)
    rate = 0.003 if optimizer == "lion" else 0.05
    transform = make(
        optimizers.schedule("constant", rate, total_steps=100), momentum=0.9, weight_decay=0.0
    )
    params = {"w": jnp.full((3, 3), 0.5), "b": jnp.full(3, -0.5)}
    state = transform.init(params)

    @jax.jit
    def step(params, state):
        updates, state = transform.update(params, state, params)
        return jax.tree.map(jnp.add, params, updates), state

    with jax.numpy_dtype_promotion("standard"):  # Optax's Adam multiplies float by int32
        for _ in range(100):
            params, state = step(params, state)
    assert all(float(jnp.abs(p).max()) < 0.35 for p in jax.tree.leaves(params))


def test_schedules():
    def rates(shape, warmup=0):
        rate = optimizers.schedule(shape, 0.5, total_steps=8, warmup_steps=warmup)
        return [round(float(rate(t)), 4) for t in range(9)]

    assert rates("constant") == [0.5] * 9
    assert rates("linear")[::4] == [0.5, 0.25, 0.0]
    assert rates("cosine")[::4] == [0.5, 0.25, 0.0]
    assert rates("linear", 4)[:5] == [0.125, 0.25, 0.375, 0.5, 0.5]
    with pytest.raises(ValueError, match="constant, cosine, linear"):
        optimizers.schedule("step", 1.0, total_steps=8)


def test_output_directory(tmp_path, result):
    out = tmp_path / "runs" / "one"
    events = []
    factors = {"activation": ["tanh"], "kernel_init": ["orthogonal"]}
    study = Study(factors=factors, **SMALL)
    study.run(out, on_progress=events.append)
    assert events[-1].runs_done == events[-1].runs == 4
    assert sorted(p.name for p in out.iterdir()) == [
        "environment.json",
        "results.json",
        "study.toml",
    ]
    again = Study(**read_study(out / "study.toml"))
    assert again.describe() == study.describe()
    stored = json.loads((out / "results.json").read_text())
    assert len(stored["runs"]) == 4
    assert "jax" in json.loads((out / "environment.json").read_text())
    with pytest.raises(ValueError, match="holds a study already"):
        study.run(out)


def test_nothing_is_left_of_a_study_that_fails(tmp_path):
    def broken(*, activation, rngs):
        raise RuntimeError("no such layer")

    with pytest.raises(ValueError, match=r"RuntimeError with activation=tanh.*no such layer"):
        Study(model=broken, factors={"activation": ["tanh"]}).run(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_study_keeps_finished_groups(tmp_path):
    def stop(event):
        if event.runs_done > 1.5:
            raise KeyboardInterrupt

    study = Study(
        data=blobs(),
        model=models.mlp,
        factors={"activation": ["tanh", "relu"]},
        epochs=2,
        seeds=1,
        learning_rates=[0.1],
        batch_size=32,
    )
    with pytest.raises(KeyboardInterrupt):
        study.run(tmp_path / "x", on_progress=stop)
    stored = json.loads((tmp_path / "x" / "results.json").read_text())
    assert len(stored["runs"]) == 1


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"factors": {"activation": ["relo"]}}, "did you mean relu"),
        ({"factors": {"activaton": ["relu"]}}, "did you mean activation"),
        ({"factors": {"activation": []}}, "has no values"),
        ({"factors": {"activation": ["relu", "relu"]}}, "names a value twice"),
        ({"factors": {"learning_rate": [1.0]}}, "give learning_rates"),
        ({"model": "lenett"}, "did you mean lenet"),
        ({"model": "nowhere:make"}, "could not be imported"),
        ({"data": "digit"}, "digits"),
        ({"epochs": 0}, "epochs=0"),
        ({"seeds": 0}, "seeds=0"),
        ({"seeds": [1, 1]}, "seeds="),
        ({"learning_rates": [0.1, -1.0]}, "learning_rates="),
        ({"task": "binary"}, "does not fit"),
        ({"batch_size": 5000}, "use a smaller batch"),
        ({"factors": {"kernel_init": ["normal:big"]}}, "expected a number"),
        ({"model": flat_model, "factors": {}}, "take `outputs`"),
    ],
)
def test_errors_say_what_to_change(keywords, message):
    with pytest.raises(ValueError, match=message):
        Study(**keywords).run()


def test_study_files(tmp_path):
    assert set(KEYS) == {field for field in Study.__dataclass_fields__}
    path = tmp_path / "s.toml"
    for text, message in (
        ("epocs = 3", "did you mean epochs"),
        ("epochs = ", "is not a TOML file"),
        ("factors = 3", "must be a table"),
        ("data = 3", "must be a string"),
        ("gradient_clip = 'a'", "must be a number"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_study(path)


def test_weights_of_padding_do_not_count():
    dataset = data.load("digits")
    held = engine.prepare(dataset, 0.2)
    count = float(held.held_weights.sum())
    assert count == len(dataset.test_inputs) + round(0.2 * len(dataset.train_inputs))
    assert training.run.normalize(jnp.asarray(held.inputs), held).dtype == jnp.float32
