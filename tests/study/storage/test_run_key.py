"""The identity of a run: what changes it, what does not, and that processes agree on it."""

import functools
import os
import subprocess
import sys

import jax
import pytest
from flax import nnx

import jcnn
from jcnn import layers
from tests.small import blobs, runs_loaded, study


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
        {"data": blobs(80, features=4, distance=1, seed=1)},
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


@pytest.mark.parametrize("what", ["default_backend", "of_sources"])
def test_the_platform_and_jcnns_sources_are_part_of_the_key(what, monkeypatch):
    before = run_keys()
    of_numerics = jcnn.study.storage.run_key.of_numerics
    of_numerics.cache_clear()
    place = jax if what == "default_backend" else jcnn.study.storage.run_key
    monkeypatch.setattr(place, what, lambda *_: "elsewhere")
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


def test_what_is_ones_own_goes_by_what_it_computes(tmp_path):
    assert runs_loaded(tmp_path, model=own(1.0), factors={}) == (0, 2)
    assert runs_loaded(tmp_path, model=own(1.0), factors={}) == (2, 2)
    assert runs_loaded(tmp_path, model=own(2.0), factors={}) == (0, 2)


def test_an_activation_of_ones_own_is_another_than_its_name_says(tmp_path):
    mine = {"activation": {"relu": lambda x: 2 * x}, "hidden": [(4,)]}
    assert runs_loaded(tmp_path, factors=mine) == (0, 2)
    assert runs_loaded(tmp_path, factors={"activation": ["relu"], "hidden": [(4,)]}) == (0, 2)


def test_an_object_without_a_name_is_the_same_run_again():
    def keys():
        mine = {"mine": functools.partial(jax.nn.leaky_relu, negative_slope=0.2)}
        return run_keys(factors={"activation": mine, "hidden": [(4,)]})

    assert keys() == keys()


def test_a_programs_text_is_the_same_in_every_process():
    code = (
        "from tests.small import study\n"
        "from tests.study.storage.test_run_key import own\n"
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
