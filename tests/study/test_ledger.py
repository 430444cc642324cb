"""The ledger, checkpoints and identities: what is kept, what counts as the same, what rots."""

import functools
import json
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx

import jcnn
from jcnn import engine, layers
from jcnn.study import Study, runner
from jcnn.study.storage.atomic_files import StorageError
from jcnn.study.storage.checkpoint import Checkpoints
from jcnn.study.storage.ledger import DAMAGED, NAME, Ledger

OUTCOME = engine.Outcome(
    {"train_loss": [1.0, float("nan")]}, {"accuracy": 0.5}, diverged_at=3, steps=6, seconds=0.1
)


def arrays(n=80, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    return (rng.normal(size=(n, 4)) + labels[:, None]).astype(np.float32), labels


def study(**changed):
    keywords = {
        "data": arrays(),
        "model": "mlp",
        "factors": {"activation": ["tanh", "relu"], "hidden": [(4,)]},
        "learning_rates": [0.1],
        "seeds": 2,
        "epochs": 1,
        "batch_size": 16,
    }
    return Study(**keywords | changed)


def found(directory, **changed):
    """How many runs were kept already, and how many there are."""
    result = study(**changed).run(directory)
    return result.environment["runs_loaded"], len(result.records)


def test_only_what_is_missing_is_trained(tmp_path):
    assert found(tmp_path) == (0, 4)
    assert found(tmp_path) == (4, 4)
    three = {"activation": ["relu", "gelu", "tanh"], "hidden": [(4,)]}
    assert found(tmp_path, factors=three) == (4, 6)
    assert found(tmp_path, factors=three, seeds=3) == (6, 9)
    assert found(tmp_path, learning_rates=[0.03, 0.1]) == (4, 8)
    assert found(tmp_path, factors={"activation": ["gelu"], "hidden": [(4,)]}) == (2, 2)
    assert found(tmp_path) == (4, 4)


def run_keys(**changed):
    one = study(**changed)
    return {run.key for job in one.jobs(one.prepare()) for run in job.runs}


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 2},
        {"batch_size": 8},
        {"seeds": [2, 3]},
        {"learning_rates": [0.2]},
        {"validation_fraction": 0.3},
        {"gradient_clip": 1.0},
        {"label_smoothing": 0.1},
        {"warmup_steps": 1},
        {"augmentation": "shift:1", "model": "lenet", "data": "digits", "factors": {}},
        {"dtype": "bfloat16"},
        {"data": arrays(seed=1)},
        {"task": "binary"},
        {"factors": {"activation": ["tanh", "relu"], "hidden": [(5,)]}},
        {"factors": {"activation": ["tanh", "relu"], "hidden": [(4,)], "optimizer": ["adam"]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_a_run_makes_it_another(change):
    alike = {key: value for key, value in change.items() if key in ("model", "data", "factors")}
    before = run_keys(**alike) if "augmentation" in change else run_keys()
    assert not before & run_keys(**change)


@pytest.mark.parametrize("what", ["default_backend", "_sources"])
def test_the_platform_and_jcnns_sources_are_part_of_the_key(what, monkeypatch):
    before = run_keys()
    of_numerics = jcnn.study.storage.run_key.of_numerics
    of_numerics.cache_clear()
    place = jax if what == "default_backend" else jcnn.study.storage.run_key
    monkeypatch.setattr(place, what, lambda: "cpu" if what == "_sources" else "elsewhere")
    try:
        assert not before & run_keys()
    finally:
        of_numerics.cache_clear()


def test_what_changes_no_number_keeps_the_run():
    before = run_keys()
    spelled = {"hidden": [[4]], "activation": [jax.nn.relu, jcnn.activations.tanh]}
    assert run_keys(factors=spelled) == before
    assert run_keys(data_memory=3_000) == before
    factors = {"activation": ["tanh", "relu"], "hidden": [(4,)]}
    more = {"optimizer": ["momentum"], "kernel_init": ["kaiming_normal"], "weight_decay": [0.0]}
    assert run_keys(factors=factors | more) == before


def own(scale):
    def model(input_shape, outputs, *, rngs):
        layer = layers.Dense(input_shape[0], outputs, rngs=rngs)
        return nnx.Sequential(layer, lambda x: scale * x)

    return model


@pytest.mark.slow
def test_what_is_ones_own_goes_by_what_it_computes(tmp_path):
    assert found(tmp_path, model=own(1.0), factors={}) == (0, 2)
    assert found(tmp_path, model=own(1.0), factors={}) == (2, 2)
    assert found(tmp_path, model=own(2.0), factors={}) == (0, 2)
    mine = {"activation": {"relu": lambda x: 2 * x}, "hidden": [(4,)]}
    assert found(tmp_path, factors=mine) == (0, 2)
    assert found(tmp_path, factors={"activation": ["relu"], "hidden": [(4,)]}) == (0, 2)


def test_an_object_without_a_name_is_the_same_run_again():
    def keys():
        mine = {"mine": functools.partial(jax.nn.leaky_relu, negative_slope=0.2)}
        return run_keys(factors={"activation": mine, "hidden": [(4,)]})

    assert keys() == keys()


def test_a_programs_text_is_the_same_in_every_process():
    code = (
        "from tests.study.test_ledger import own, study\n"
        "one = study(model=own(1.0), factors={})\n"
        "print(one.jobs(one.prepare())[0].runs[0].key)\n"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in range(2)
    }
    assert len(keys) == 1
    assert len(keys.pop().strip()) == 64


def filled(directory, rows=5):
    ledger = Ledger(directory)
    ledger.add([(f"key{i}", {"seed": i}, OUTCOME) for i in range(rows)])
    return ledger


def keys(count):
    return [f"key{i}" for i in range(count)]


def test_a_ledger_gives_back_what_was_added(tmp_path):
    filled(tmp_path)
    kept = Ledger(tmp_path).outcomes([*keys(5), "other"])
    assert list(kept) == keys(5)
    np.testing.assert_equal(kept["key0"].curves, OUTCOME.curves)
    assert (kept["key0"].test, kept["key0"].diverged_at) == (OUTCOME.test, 3)
    Ledger(tmp_path).add([("key0", {}, engine.Outcome())])  # a finished run stays what it is
    assert Ledger(tmp_path).outcomes(["key0"])["key0"].diverged_at == 3


@pytest.mark.slow
def test_a_ledger_is_mended_whichever_byte_flips(tmp_path):
    """Every 13th byte and all of the header; each row that is read is one that was written."""
    filled(tmp_path / made(tmp_path, "whole"))
    whole = (tmp_path / "whole" / NAME).read_bytes()
    written = Ledger(tmp_path / "whole").outcomes(keys(5))
    mended = lost = 0
    for place in sorted({*range(100), *range(100, len(whole), 13)}):
        directory = tmp_path / made(tmp_path, "flipped")
        content = bytearray(whole)
        content[place] ^= 0xFF
        (directory / NAME).write_bytes(content)
        ledger = Ledger(directory)
        kept = ledger.outcomes(keys(5))
        for key, outcome in kept.items():
            np.testing.assert_equal(vars(outcome), vars(written[key]))
        if ledger.notes:
            assert "was damaged" in ledger.notes[0]
            assert (directory / DAMAGED).read_bytes() == content
            mended += 1
            lost += 5 - len(kept)
        else:
            assert len(kept) == 5, place
        ledger.add([("key0", {"seed": 0}, OUTCOME), ("new", {}, OUTCOME)])
        assert {"key0", "new"} <= set(Ledger(directory).outcomes([*keys(5), "new"]))
        shutil.rmtree(directory)
    assert mended > 50
    assert lost > 0


def made(directory, name):
    (directory / name).mkdir()
    return name


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_ledger_is_mended_wherever_it_is_cut(tmp_path, part):
    filled(tmp_path, rows=200)
    whole = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole[: int(part * len(whole))])
    ledger = Ledger(tmp_path)
    assert "was damaged" in ledger.notes[0]
    kept = ledger.outcomes(keys(200))
    assert len(kept) < 200
    assert (len(kept) > 50) == (part >= 0.5)
    ledger.add([("new", {}, OUTCOME)])
    assert "new" in Ledger(tmp_path).outcomes(["new"])
    assert not Ledger(tmp_path).notes


def test_a_row_that_was_altered_is_not_used(tmp_path):
    import sqlite3

    filled(tmp_path)
    with sqlite3.connect(tmp_path / NAME) as file:
        file.execute("update runs set outcome = replace(outcome, '0.5', '0.9') where key = 'key2'")
    file.close()
    ledger = Ledger(tmp_path)
    assert set(ledger.outcomes(keys(5))) == set(keys(5)) - {"key2"}
    assert "the 4 runs in it that verify were kept" in ledger.notes[0]


def snapshots(directory, count):
    kept = Checkpoints(directory)
    for number in range(count):
        kept.keep(engine.Snapshot([np.arange(3) + number, np.ones((), np.uint32)], {"n": number}))
    return kept


def test_checkpoints_keep_two_generations_and_give_the_newest(tmp_path):
    assert Checkpoints(tmp_path / "c").newest() is None
    kept = snapshots(tmp_path / "c", 4)
    newest = kept.newest()
    assert newest.place["n"] == 3
    np.testing.assert_array_equal(newest.arrays[0], [3, 4, 5])
    assert newest.arrays[1].dtype == np.uint32
    names = sorted(p.name for p in (tmp_path / "c").iterdir())
    assert names == ["000003", "000004", "manifest.json"]
    kept.remove()
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_a_checkpoint_with_any_file_flipped_or_cut_is_not_used(tmp_path):
    snapshots(tmp_path / "whole", 2)
    files = [p for p in (tmp_path / "whole").rglob("*") if p.is_file() and p.stat().st_size]
    assert len(files) > 5
    for path in files:
        for harm in ("flipped", "cut", "gone"):
            shutil.copytree(tmp_path / "whole", tmp_path / "harmed")
            harmed = tmp_path / "harmed" / path.relative_to(tmp_path / "whole")
            content = bytearray(harmed.read_bytes())
            content[len(content) // 2] ^= 0xFF
            if harm == "gone":
                harmed.unlink()
            else:
                harmed.write_bytes(content if harm == "flipped" else content[:-1])
            newest = Checkpoints(tmp_path / "harmed").newest()
            expected = {"manifest.json": None, "000001": 1, "000002": 0}[
                path.relative_to(tmp_path / "whole").parts[0]
            ]
            assert (newest and newest.place["n"]) == expected, (path, harm)
            snapshots(tmp_path / "harmed", 1)
            assert Checkpoints(tmp_path / "harmed").newest().place["n"] == 0
            shutil.rmtree(tmp_path / "harmed")


def test_a_checkpoints_place_is_verified_too(tmp_path):
    snapshots(tmp_path / "c", 2)
    manifest = tmp_path / "c" / "manifest.json"
    assert '"n": 1' in manifest.read_text()
    manifest.write_text(manifest.read_text().replace('"n": 1', '"n": 7'))
    assert Checkpoints(tmp_path / "c").newest() is None


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_every_chunk_boundary_resumes_to_the_bit(normalization, monkeypatch):
    """With dropout too, whose random keys are state."""

    class Net(nnx.Module):
        def __init__(self, input_shape, outputs, *, rngs):
            self.dense = layers.Dense(input_shape[0], 8, rngs=rngs)
            self.norm = layers.batch_norm(8, rngs=rngs) if normalization == "batch" else None
            self.drop = nnx.Dropout(0.5, rngs=rngs)
            self.out = layers.Dense(8, outputs, rngs=rngs)

        def __call__(self, x):
            x = self.dense(x)
            x = x if self.norm is None else self.norm(x)
            return self.out(self.drop(jax.nn.relu(x)))

    monkeypatch.setattr(engine._training, "FIRST_CALL", 4)
    monkeypatch.setattr(engine._training, "SECONDS_PER_CALL", 1e-9)
    one = study(model=Net, factors={"optimizer": ["rmsprop"]}, epochs=2, seeds=3)
    compiled = one.jobs(one.prepare())[0].compile()
    whole = engine.Training(compiled)
    snapshots = [whole.snapshot(), *(whole.snapshot() for _ in whole.run())]
    assert len(snapshots) > 8
    for snapshot in snapshots:
        plain = json.loads(json.dumps(snapshot.place))
        resumed = engine.Training(compiled, snapshot._replace(place=plain))
        for _ in resumed.run():
            pass
        assert resumed.outcomes == whole.outcomes
        for mine, theirs in zip(resumed.snapshot().arrays, snapshots[-1].arrays, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match="another model"):
        engine.Training(compiled, snapshot._replace(arrays=snapshot.arrays[1:]))


def test_an_interrupted_group_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(runner, "CHECKPOINT_SHARE", 1e9)
    one = study(factors={"hidden": [(4,)]}, epochs=4)

    def stop(event):
        if event.runs_done >= 1.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.run(tmp_path / "x", on_progress=stop)
    ticks = []
    resumed = one.run(tmp_path / "x", on_progress=ticks.append)
    assert ticks[0].runs_done >= 1.0
    assert [r.outcome for r in resumed.records] == [r.outcome for r in one.run().records]
    hidden = tmp_path / "x" / ".unfinished"
    assert not [path for path in hidden.iterdir() if path.is_dir()]


def test_a_directory_that_cannot_be_written_or_goes_away(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot keep results in .*name another directory"):
        study().run(tmp_path / "file" / "x")

    def remove(event):
        shutil.rmtree(tmp_path / "gone", ignore_errors=True)

    with pytest.raises(StorageError, match="gone"):
        study().run(tmp_path / "gone", on_progress=remove)


def test_a_combination_that_fails_leaves_the_others(tmp_path):
    def model(input_shape, outputs, *, width, rngs):
        if width == 3:
            raise RuntimeError("three is not a width")
        return layers.Dense(input_shape[0], outputs, rngs=rngs)

    one = study(model=model, factors={"width": [2, 3]})
    result = one.run(tmp_path)
    assert [row.levels["width"] for row in result.ranking()] == ["2"]
    assert list(result.failures) == [1]
    assert "three is not a width" in result.failures[1]
    assert result.effects() == ["width: only 2 could be trained"]
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["failures"][0]["levels"] == {"width": "3"}


def test_a_group_that_raises_while_it_compiles_leaves_the_others(monkeypatch):
    whole = jcnn.study.job.Job.compile

    def compiled(self):
        if self.label.startswith("tanh"):
            raise RuntimeError("no such kernel")
        return whole(self)

    monkeypatch.setattr(jcnn.study.job.Job, "compile", compiled)
    result = study().run()
    assert [row.levels["activation"] for row in result.ranking()] == ["relu"]
    assert result.failures == {0: "RuntimeError: no such kernel"}
