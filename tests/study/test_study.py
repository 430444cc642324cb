"""Studies end to end: learning, pairing, groups, traced numbers, divergence, output, errors."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jcnn
from jcnn import data, engine, layers, models, training
from jcnn.analysis.result import Result, RunRecord
from jcnn.errors import UsageError
from jcnn.study import Study
from jcnn.study.factors import group
from jcnn.study.storage.directory import StudyDirectory
from jcnn.study.storage.ledger import Ledger
from jcnn.study.toml import KEYS, read_study

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


def not_a_module(input_shape, outputs):
    return lambda x: jnp.zeros((len(x), outputs))


def leaving(input_shape, outputs):
    raise SystemExit(7)


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
    stored = json.loads(result.to_json())
    assert stored["ranking"][0]["levels"] == rows[0].levels
    assert stored["ranking"][0]["interval"]["low"] <= rows[0].mean <= rows[0].interval.high
    assert len(stored["comparisons"]) == 3


def planted(levels, seeds=6, metric="accuracy"):
    """A result whose combinations have these test values by seed."""
    records = [
        RunRecord(
            i,
            0.1,
            seed,
            engine.Outcome({f"validation_{metric}": [0.5]}, {metric: float(value)}),
        )
        for i, values in enumerate(levels.values())
        for seed, value in zip(range(seeds), values, strict=True)
    ]
    names = [dict(zip(("activation", "norm"), name, strict=True)) for name in levels]
    return Result({}, metric, metric == "accuracy", names, records)


def test_the_answer_in_words_says_what_is_real():
    rng = np.random.default_rng(0)
    seed = rng.normal(0, 0.05, 6)

    def arm(mean):
        return mean + seed + rng.normal(0, 0.002, 6)

    found = planted(
        {
            ("relu", "none"): arm(0.80),
            ("relu", "batch"): arm(0.90),
            ("tanh", "none"): arm(0.70),
            ("tanh", "batch"): arm(0.85),
        }
    )
    assert found.verdict().startswith("relu batch is best: ahead of every other")
    assert re.search(r"of the next \(tanh batch\) by (4\.9|5\.\d) points \[4", found.verdict())
    activation, norm = found.effects()
    assert activation.startswith("activation: relu beats tanh by 7.")
    assert norm.startswith("norm: batch beats none by 12.")
    one = found.comparisons()[0]
    assert one.real
    assert one.improves == 1.0
    against = found.comparisons({"activation": "tanh", "norm": "none"})
    assert [c.real for c in against] == [True, True, True, False]
    assert against[-1].difference == 0
    with pytest.raises(UsageError, match="fits 2 combinations"):
        found.comparisons({"activation": "tanh"})
    with pytest.raises(UsageError, match="did you mean norm"):
        found.comparisons({"nomr": "none"})


def test_an_interaction_in_words():
    rng = np.random.default_rng(0)
    seed = rng.normal(0, 0.05, 6)

    def arm(mean):
        return mean + seed + rng.normal(0, 0.002, 6)

    cells = {
        ("relu", "none"): arm(0.70),
        ("relu", "batch"): arm(0.90),
        ("tanh", "none"): arm(0.80),
        ("tanh", "batch"): arm(0.80),
    }
    (one,) = planted(cells).interactions()
    assert re.fullmatch(
        r"activation x norm: (relu beats tanh|tanh beats relu) by (9\.\d|10\.\d) points .* with "
        r"(none|batch), and is behind with (none|batch) \(-.*; corrected p < 0.001",
        one,
    )
    cells[("tanh", "none")] = cells[("relu", "none")] - 0.1 + 0.001 * np.arange(6)
    cells[("tanh", "batch")] = cells[("relu", "batch")] + 0.001 * np.array([1, -1, 1, -1, 1, -1])
    (one,) = planted(cells).interactions()
    assert "relu beats tanh by 9.7" in one
    assert "with none, not with batch" in one
    cells[("tanh", "none")] = cells[("relu", "none")] - 0.1 + 0.001 * np.arange(6)
    cells[("tanh", "batch")] = cells[("relu", "batch")] - 0.1 + 0.001 * np.arange(6)[::-1]
    assert planted(cells).interactions() == []
    assert planted({("relu", "none"): [0.5]}, seeds=1).interactions() == []


def test_the_answer_in_words_owns_to_too_few_seeds():
    same = np.linspace(0.5, 0.6, 6)
    found = planted(
        {("relu", "none"): same, ("tanh", "none"): same - np.array([1, -1, 1, -1, 1, 0]) * 0.01}
    )
    assert found.verdict().startswith("not enough seeds to tell relu none from tanh none")
    assert "would do" in found.verdict()
    assert "not enough seeds to tell relu from tanh" in found.effects()[0]
    single = planted({("relu", "none"): [0.5], ("tanh", "none"): [0.4]}, seeds=1)
    assert "one seed cannot tell" in single.verdict()
    assert "on one seed" in single.effects()[0]
    lower = planted(
        {("relu", "none"): same, ("tanh", "none"): same + 0.2 + 0.01 * same}, metric="error"
    )
    assert lower.verdict().startswith("relu none is best")
    assert "by 0.20" in lower.verdict()


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
    for record in diverged:
        assert np.isnan([curve[-1] for curve in record.outcome.curves.values()]).all()
        assert np.isnan(list(record.outcome.test.values())).all()


def test_a_diverged_run_stops_at_its_step_and_leaves_its_group_alone():
    def study(rates):
        return Study(
            data="digits-rotated", model="mlp", factors={}, epochs=2, seeds=1, batch_size=128,
            learning_rates=rates,
        )  # fmt: skip

    both, alone = study([1e-2, 1e6]), study([1e-2])
    compiled = both.jobs(both.prepare())[0].compile()
    trained = engine.Training(compiled)
    for _ in trained.run():
        pass
    fine, diverged = trained.outcomes
    steps = trained._states.step
    assert steps.tolist() == [compiled.steps_per_epoch * 2, diverged.diverged_at + 1]
    assert fine == alone.run().records[0].outcome


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


def test_output_directory(tmp_path, result):
    out = tmp_path / "runs" / "one"
    events = []
    factors = {"activation": ["tanh"], "kernel_init": ["orthogonal"]}
    study = Study(factors=factors, **SMALL)
    study.run(out, on_progress=events.append)
    assert events[-1].runs_done == events[-1].runs == 4
    assert sorted(p.name for p in out.iterdir() if not p.name.startswith(".")) == [
        "environment.json",
        "ledger.sqlite",
        "results.json",
        "study.toml",
    ]
    again = Study(**read_study(out / "study.toml"))
    assert again.describe() == study.describe()
    stored = json.loads((out / "results.json").read_text())
    assert len(stored["runs"]) == 4
    assert "jax" in json.loads((out / "environment.json").read_text())
    events.clear()
    kept = (out / "results.json").read_bytes()
    assert study.run(out, on_progress=events.append).environment["runs_found"] == 4
    assert not events
    assert (out / "results.json").read_bytes() == kept
    (out / "ledger.sqlite").unlink()
    with pytest.raises(UsageError, match="holds results but no ledger"):
        study.run(out)


def test_nothing_is_left_of_a_study_that_fails(tmp_path):
    def broken(*, activation, rngs):
        raise RuntimeError("no such layer")

    with pytest.raises(
        ValueError, match=r"RuntimeError at test_study.py:\d+ with activation=tanh.*no such layer"
    ):
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
    assert len(Ledger(tmp_path / "x").runs()) == 1
    found = study.run(tmp_path / "x")
    assert found.environment["runs_found"] == 1
    assert [r.outcome for r in found.records] == [r.outcome for r in study.run().records]


def small_memory(monkeypatch, most):
    """Devices that hold `most` runs: training more of them is out of memory halfway."""
    whole = engine.Training.run

    def run(self):
        for done in whole(self):
            if len(self.outcomes) > most and done > 0:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
            yield done

    monkeypatch.setattr(engine.Training, "run", run)


@pytest.mark.slow
def test_a_group_that_does_not_fit_is_halved_and_says_so(monkeypatch, tmp_path):
    study = Study(factors={"activation": ["tanh"], "hidden": [(8,)]}, model="mlp", **SMALL)
    whole = study.run()
    assert not whole.notes
    small_memory(monkeypatch, 1)
    found = study.run(tmp_path / "out")
    assert len(found.notes) == 3  # the group of 4, and its halves of 2
    assert "tanh 8: 4 runs together did not fit" in found.notes[0]
    assert json.loads((tmp_path / "out" / "environment.json").read_text())["notes"] == found.notes
    for one, other in zip(whole.records, found.records, strict=True):
        assert (one.combination, one.learning_rate, one.seed) == (
            other.combination,
            other.learning_rate,
            other.seed,
        )
        np.testing.assert_allclose(
            one.outcome.curves["train_loss"], other.outcome.curves["train_loss"], rtol=1e-4
        )
    small_memory(monkeypatch, 0)
    with pytest.raises(ValueError, match="a single run of tanh 8 does not fit"):
        study.run()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"factors": {"activation": ["relo"]}}, "did you mean relu"),
        ({"factors": {"activaton": ["relu"]}}, "did you mean activation"),
        ({"factors": {"activation": []}}, "has no values"),
        ({"factors": {"activation": ["relu", "relu"]}}, "names a value twice"),
        ({"factors": {"learning_rate": [1.0]}}, "tries all of learning_rates"),
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
        ({"model": not_a_module, "factors": {}}, "returned a function; expected an nnx.Module"),
        ({"model": leaving, "factors": {}}, "SystemExit at test_study.py"),
        ({"model": linear, "factors": {}, "dtype": "bfloat16"}, "does not take dtype"),
        ({"dtype": "bfloat32"}, "did you mean.* bfloat16"),
        ({"augmentation": "shift:2+flap"}, "did you mean flip"),
        ({"gradient_clip": -1.0}, "gradient_clip=-1.0; expected a positive norm"),
        ({"label_smoothing": float("nan")}, "label_smoothing=nan"),
        ({"data": "digits-rotated", "label_smoothing": 0.1}, "applies to classification"),
        ({"task": "regression"}, "expected classification$"),
        ({"warmup_steps": -1}, "warmup_steps=-1"),
        ({"factors": {"momentum": [5]}}, "momentum=5; expected a number from 0 to below 1"),
        ({"factors": {"weight_decay": ["a"]}}, "weight_decay='a'; expected a number"),
        ({"factors": {"batch_size": [0]}}, "batch_size=0; expected a whole number"),
        ({"factors": {"rngs": [1]}}, "'rngs' is not a factor"),
        ({"factors": {"activation": [lambda x: x, lambda x: x]}}, "give a mapping of names"),
        ({"factors": {"optimizer": [lambda rate: None]}}, "is not an optimizer"),
        ({"data": {"x": 1}}, "expected a name, a path"),
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
        ("gradient_clip = 'a'", "gradient_clip='a'; expected a positive norm"),
        ("warmup_steps = 1.5", "warmup_steps=1.5; expected a whole number"),
        ("seeds = 1.5", "seeds=1.5; expected a whole number"),
        ("learning_rates = [[0.1]]", "expected positive numbers"),
        ("learning_rates = [true]", "expected positive numbers"),
        ("[factors]\noptimizer = [1]", "optimizer=1; expected a name"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=f"s.toml.*{message}"):
            read_study(path)


def test_a_study_file_gives_back_what_it_was_written_from(tmp_path):
    factors = {
        "width": [4, 8],
        "flag": [True, False],
        "hidden": [(8,), (16, 8)],
        "activation": ["relu", jcnn.activations.tanh],
        "kernel_init": ["normal:0.01"],
        "momentum": [0.9],
    }
    study = Study(factors=factors, seeds=[3, 5])
    assert study.unreadable() == []
    output = StudyDirectory(tmp_path / "o")
    output.write_study(study.describe(), study.unreadable())
    again = Study(**read_study(tmp_path / "o" / "study.toml"))
    assert again.describe() == study.describe()
    for mine, theirs in zip(study.combinations, again.combinations, strict=True):
        assert mine.names() == theirs.names()
        for factor in ("width", "flag", "hidden", "activation", "momentum"):
            assert mine.value(factor) == theirs.value(factor)
    own = Study(data=blobs(), model=linear, factors={"kernel_init": {"mine": lambda *a: None}})
    assert own.unreadable() == ["data", "kernel_init=mine"]


def test_values_of_numpy_and_names_in_mappings_are_taken():
    study = Study(
        seeds=np.int64(2),
        epochs=np.int64(1),
        learning_rates=(rate for rate in (0.1, 0.01)),
        factors={"width": np.array([2, 4]), "activation": {"mine": "tanh"}},
    )
    assert (study.seed_values, study.learning_rates) == ([0, 1], (0.1, 0.01))
    assert [level.value for level in study.levels["width"]] == [2, 4]
    assert study.levels["activation"][0].value is jcnn.activations.tanh


def test_weights_of_padding_do_not_count():
    dataset = data.load("digits")
    held = engine.prepare(dataset, 0.2)
    count = float(held.held_weights.sum())
    assert count == len(dataset.test_inputs) + round(0.2 * len(dataset.train_inputs))
    assert training.run.normalize(jnp.asarray(held.inputs), held).dtype == jnp.float32


def test_augmentation_is_paired_over_combinations_and_changes_training():
    seen = []

    def record(key, images):
        jax.debug.callback(lambda k, x: seen.append((k.tolist(), float(x.sum()))), key, images[:1])
        return images

    def raw(key, images):
        return record(jax.random.key_data(key), images)

    keywords = {**SMALL, "seeds": 1, "learning_rates": [0.1], "epochs": 1, "batch_size": 256}
    Study(factors={"activation": ["tanh", "relu"]}, augmentation=raw, model="mlp", **keywords).run()
    assert len(seen) == 2 * 4
    assert sorted(map(str, seen[:4])) == sorted(map(str, seen[4:]))
    assert len({str(key) for key, _ in seen}) == 4
    found = Study(factors={"augmentation": ["none", "shift:2+flip", "cutout:3"]}, **keywords).run()
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


@pytest.mark.parametrize("memory", [60_000, 40_000])
def test_streaming_changes_no_number(memory, monkeypatch):
    """Digits are 110 kB as uint8, held-out examples included: here they come in windows."""
    windows = []
    window = engine.feed.Streamed._window
    monkeypatch.setattr(
        engine.feed.Streamed,
        "_window",
        lambda self, chosen: windows.append(len(chosen)) or window(self, chosen),
    )
    keywords = {**SMALL, "factors": {"activation": ["tanh"]}, "model": "mlp", "seeds": 3}
    whole = Study(**keywords).run()
    assert not windows
    streamed = Study(data_memory=memory, **keywords).run()
    assert len(windows) > 2
    assert max(windows) * 64 < memory
    assert [r.outcome for r in streamed.records] == [r.outcome for r in whole.records]
    with pytest.raises(ValueError, match="give more, or use smaller batches"):
        Study(data_memory=10_000, **keywords).run()
