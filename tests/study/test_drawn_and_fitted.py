"""Studies of pooling that draws and of initial values that are fitted to data (LSUV)."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.experimental import io_callback

import jcnn
from jcnn import engine, initializers, layers, pooling
from jcnn.data import sample_indices
from jcnn.study import Study, inspect_model
from jcnn.study.storage import run_key
from jcnn.training.run import normalize

ROOT = Path(__file__).resolve().parents[2]


def arrays(n=240, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.normal(2, 3, size=(n, 6, 6, 1)) + 3 * labels[:, None, None, None]
    return images.astype(np.float32), labels


def net(input_shape, outputs, *, pooling=pooling.max_pool, kernel_init=None, rngs):
    init = {"kernel_init": kernel_init or initializers.he_normal(), "rngs": rngs}
    return layers.Sequential(
        conv=layers.Conv(1, 4, (3, 3), **init),
        relu=layers.Activation(jax.nn.relu),
        pool=layers.Pool(pooling, (3, 3), rngs=rngs),
        flatten=layers.Flatten(),
        output=layers.Dense(16, outputs, **init),
    )


def study(**changed):
    keywords = {
        "data": arrays(),
        "model": net,
        "factors": {"pooling": ["stochastic"], "kernel_init": ["lsuv"]},
        "learning_rates": [0.05],
        "seeds": 2,
        "epochs": 2,
        "batch_size": 24,
    }
    return Study(**keywords | changed)


def compiled(one, job=0):
    return one.jobs(one.prepare())[job].compile()


def test_initial_values_are_paired_over_poolings():
    factors = {"pooling": ["max", "stochastic"], "kernel_init": ["he_normal"]}
    one = study(factors=factors, seeds=[3, 4])
    first, second = (compiled(one, job).initial_states() for job in (0, 1))
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)
    assert len(jax.tree.leaves(second.rest)) == len(jax.tree.leaves(first.rest)) + 2


def test_steps_and_seeds_draw_apart_runs_alike_and_evaluation_not_at_all():
    drawn = []

    def recording(x, window_shape, strides=None, padding="VALID", *, key=None):
        if key is not None:
            io_callback(lambda k: drawn.append(tuple(k.tolist())), None, jax.random.key_data(key))
        return pooling.avg_pool(x, window_shape, strides, padding)

    # More than one run per device, or they are vmapped, which callbacks do not take.
    seeds = 2 * jax.local_device_count()
    one = study(factors={"pooling": [recording]}, epochs=1, seeds=seeds)
    group = compiled(one)
    seen = []
    for _ in range(2):
        drawn.clear()
        for _ in engine.Training(group).run():
            pass
        jax.effects_barrier()
        seen.append(sorted(drawn))
    assert group.held_batches > 1
    assert len(set(seen[0])) == len(seen[0]) == group.steps_per_epoch * len(group.group.runs)
    assert seen[0] == seen[1]


@pytest.mark.slow
def test_every_chunk_boundary_resumes_to_the_bit(monkeypatch):
    monkeypatch.setattr(engine._training, "FIRST_CALL", 4)
    monkeypatch.setattr(engine._training, "SECONDS_PER_CALL", 1e-9)
    group = compiled(study())
    whole = engine.Training(group)
    snapshots = [whole.snapshot(), *(whole.snapshot() for _ in whole.run())]
    assert len(snapshots) > 8
    for snapshot in snapshots[::3]:
        resumed = engine.Training(group, snapshot)
        for _ in resumed.run():
            pass
        assert resumed.outcomes == whole.outcomes
        for mine, theirs in zip(resumed.snapshot().arrays, snapshots[-1].arrays, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [2, 100])
def test_runs_at_once_are_the_runs_one_after_another(at_once):
    """Accelerators take the runs of a device together."""
    one = compiled(study(seeds=3))

    def trained(at_once):
        group = engine.CompiledGroup(replace(one.group, at_once=at_once), one.data)
        training = engine.Training(group)
        for _ in training.run():
            pass
        return group.memory, training.snapshot().arrays

    (memory, together), (memory_of_one, alone) = trained(at_once), trained(1)
    assert memory != memory_of_one  # the programs differ
    for mine, theirs in zip(together, alone, strict=True):
        if mine.dtype.kind == "f":
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)
        else:
            np.testing.assert_array_equal(mine, theirs)


SHARDED = """
import json, sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
from jax.sharding import Mesh
import numpy as np
from jcnn import engine
from tests.study.test_drawn_and_fitted import study

factors = {"pooling": ["stochastic"], "kernel_init": ["lsuv", "he_normal"]}
def losses():
    found = study(factors=factors, learning_rates=[0.05, 0.02], epochs=1).run()
    return [[*r.outcome.curves["train_loss"], *r.outcome.test.values()] for r in found.records]

assert engine._devices.runs_mesh(4).size == 2
both = losses()
engine._group.runs_mesh = lambda runs: Mesh(np.array(jax.local_devices()[:1]), ("runs",))
json.dump([both, losses()], sys.stdout)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["true", "false"])
def test_runs_sharded_over_devices_are_those_of_one(mode, monkeypatch):
    """With NNX's graph mode on and off."""
    monkeypatch.setenv("NNX_GRAPH_MODE", mode)
    monkeypatch.setenv("NNX_GRAPH_UPDATES", mode)
    done = subprocess.run(
        [sys.executable, "-c", SHARDED], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    both, one = json.loads(done.stdout)
    assert len({tuple(row) for row in both}) == 8
    np.testing.assert_allclose(both, one, rtol=1e-5)


@pytest.mark.slow
def test_what_a_report_shows_of_such_a_model():
    one = study(diagnose=3)
    result = one.run()
    inspection = inspect_model(one, result)
    assert [stage.name for stage in inspection.stages][:3] == ["input", "conv, relu", "pooled"]
    pooled = inspection.stages[2].values
    assert pooled.shape == (2, 2, 4)
    activated = inspection.stages[1].values  # in evaluation: the mean, by the probabilities
    tiles = activated.reshape(2, 3, 2, 3, 4).transpose(0, 2, 1, 3, 4).reshape(2, 2, 9, 4)
    total = np.maximum(tiles.sum(2), 1e-30)
    np.testing.assert_allclose(pooled, (tiles**2).sum(2) / total, rtol=1e-4, atol=1e-6)
    ((found, _),) = inspection.gradients.values()
    assert [layer.name for layer in found.layers] == ["conv", "output"]
    assert result.records[0].outcome.history.layers == ["conv", "output"]


def weighted_sums(params, run, x):
    """Of each layer of `net` with max pooling, by its parameters alone."""
    kernels = [np.asarray(params[name]["kernel"][...][run]) for name in ("conv", "output")]
    first = jcnn.convolution.conv(x, jnp.asarray(kernels[0]))
    signal = pooling.max_pool(jax.nn.relu(first), (3, 3)).reshape(len(x), -1)
    return [first, signal @ kernels[1]]


@pytest.mark.slow
def test_lsuv_is_fitted_to_a_sample_of_the_training_examples():
    factors = {"kernel_init": ["lsuv", "orthogonal", "he_normal"]}
    one = study(factors=factors, seeds=2)
    assert one.compilations == 1
    prepared = one.prepare()
    job = one.jobs(prepared)[0]
    states = job.compile().initial_states()
    data = prepared.data
    x = normalize(jnp.asarray(data.inputs[sample_indices(data.targets, 128)]), data)
    assert len(data.inputs) > 128
    for run, planned in enumerate(job.runs):
        stds = [float(jnp.std(sums)) for sums in weighted_sums(states.params, run, x)]
        fitted = planned.member == 0
        assert (np.abs(np.array(stds) - 1) < 1e-3).all() == fitted
        model = job.model(planned.member, planned.seed)
        for name in ("conv", "output"):
            np.testing.assert_allclose(
                getattr(model, name).kernel[...],
                states.params[name]["kernel"][...][run],
                rtol=1e-4,
                atol=1e-6,
            )
    lsuv, orthogonal = (states.params["conv"]["kernel"][...][run] for run in (0, 2))
    ratios = np.asarray(lsuv / orthogonal)
    np.testing.assert_allclose(ratios, ratios.mean(), rtol=1e-3)


def test_a_study_of_lsuv_learns_and_repeats_to_the_bit(tmp_path):
    one = study(factors={"kernel_init": ["lsuv", "he_normal"]}, epochs=6)
    found = one.run(tmp_path / "x")
    assert all(row.mean > 0.8 for row in found.ranking())
    again = one.run()
    assert [r.outcome for r in again.records] == [r.outcome for r in found.records]
    assert one.run(tmp_path / "x").environment["runs_loaded"] == len(found.records)


def keys(**changed):
    one = study(**changed)
    return {run.key for job in one.jobs(one.prepare()) for run in job.runs}


def test_what_tells_a_fitted_run_from_others(monkeypatch):
    def of(init):
        return keys(factors={"kernel_init": init})

    def own(start):
        return {"mine": initializers.DataDriven(start)}

    different = [
        of(["lsuv"]),
        of(["orthogonal"]),
        of(own(initializers.he_normal())),
        of({"mine": initializers.he_normal()}),
        of(own(initializers.lecun_normal())),
    ]
    assert len(set().union(*different)) == sum(map(len, different))
    assert of(own(initializers.he_normal())) == different[2]
    assert of({"other": initializers.lsuv_orthogonal()}) == different[0]
    # What fits it is part of the key, and of no other's.
    sources = run_key.of_sources
    monkeypatch.setattr(
        run_key,
        "of_sources",
        lambda packages: "changed" if packages == run_key.FITTED else sources(packages),
    )
    assert not of(["lsuv"]) & different[0]
    assert of(["orthogonal"]) == different[1]


LSUV = initializers.lsuv_orthogonal()


def default_of_lsuv(input_shape, outputs, *, kernel_init=LSUV, rngs):
    return net(input_shape, outputs, kernel_init=kernel_init, rngs=rngs)


def test_a_default_of_the_model_counts():
    one = study(model=default_of_lsuv, factors={})
    kernel = one.jobs(one.prepare())[0].model(0, 0).conv.kernel[...]
    named = study(factors={"kernel_init": ["lsuv"]})
    expected = named.jobs(named.prepare())[0].model(0, 0).conv.kernel[...]
    np.testing.assert_array_equal(kernel, expected)


class Product(nnx.Module):
    def __init__(self, input_shape, outputs, *, kernel_init, rngs):
        self.one = nnx.Param(kernel_init(rngs.params(), (36, 4)))
        self.other = nnx.Param(kernel_init(rngs.params(), (4, outputs)))

    def __call__(self, x):
        return x.reshape(len(x), -1) @ self.one[...] @ self.other[...]


def test_a_model_that_cannot_be_fitted_fails_alone():
    found = study(model=Product, factors={"kernel_init": ["lsuv", "he_normal"]}, epochs=1).run()
    assert list(found.failures) == [0]
    assert "ValueError with kernel_init=lsuv" in found.failures[0]
    assert "lsuv cannot scale Product" in found.failures[0]
    assert {record.combination for record in found.records} == {1}
