"""One group's programs for other runs: the same numbers, rows without a run, room."""

import jax
import numpy as np
import pytest
from flax import nnx

from jcnn import engine
from jcnn.study.allocation import Wanted
from tests.small import study


def programs(capacity, **changed):
    one = study(factors={"kernel_init": ["he_normal", "glorot_normal"]}, seeds=3, **changed)
    job = one.jobs(one.prepare())[0]
    return job, job.compile(capacity)


def wanting(job, runs):
    return job.wanting(Wanted(job.indices[run.member], run.learning_rate, run.seed) for run in runs)


def trained(compiled):
    training = engine.Training(compiled)
    for _ in training.run():
        pass
    return training


def test_other_runs_train_as_if_compiled_for_them():
    job, compiled = programs(9)
    whole = trained(compiled).outcomes
    before = engine.compilations().compiled
    for some in (job.runs[4:5], job.runs[1:4], job.runs[::-1]):
        part = wanting(job, some)
        found = trained(part.on(compiled)).outcomes
        assert found == [whole[job.runs.index(run)] for run in some]
    assert engine.compilations().compiled == before


def test_rows_without_a_run_do_no_steps():
    _, compiled = programs(9)
    training = trained(compiled)
    steps = np.asarray(training._states.step)
    total = compiled.steps_per_epoch * compiled.group.epochs
    assert steps[compiled.rows].tolist() == [total] * 6
    assert np.delete(steps, compiled.rows).tolist() == [0] * (compiled.size - 6)
    assert not np.asarray(training._states.held_sums)[~compiled._active].any()


def test_a_run_is_found_in_its_row():
    job, compiled = programs(9)
    training = trained(compiled)
    alone = trained(wanting(job, job.runs[5:]).on(compiled))
    jax.tree.map(
        np.testing.assert_array_equal, nnx.state(training.model(5)), nnx.state(alone.model(0))
    )


def test_more_runs_than_there_is_room_for_are_refused():
    _, compiled = programs(None)
    with pytest.raises(ValueError, match=f"12 runs; the programs have room for {compiled.size}"):
        compiled.with_runs([*compiled.group.runs] * 2)


def test_a_snapshot_has_the_runs_in_their_order():
    """So that it can be restored on another number of devices, or in programs of another size."""
    job, compiled = programs(9)
    training = trained(compiled)
    taken = training.snapshot()
    for array, leaf in zip(taken.arrays, jax.tree.leaves(training._states), strict=True):
        if not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            np.testing.assert_array_equal(array, np.asarray(leaf)[compiled.rows])
    wider = engine.Training(job.compile(12), taken)
    for run in range(6):
        mine, theirs = (nnx.state(each.model(run)) for each in (training, wider))
        jax.tree.map(np.testing.assert_array_equal, mine, theirs)
