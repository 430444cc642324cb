"""Races that are trained: the numbers of the grid, interruptions, programs, and budgets."""

import itertools
import subprocess
import sys
from types import SimpleNamespace

import jax
import pytest

from jcnn import engine
from jcnn.analysis.diff import difference
from jcnn.engine import CompiledGroup
from jcnn.errors import UsageError
from jcnn.study import Study, runner
from jcnn.study import study as study_module
from jcnn.study.storage.directory import StudyDirectory
from jcnn.study.storage.ledger import Ledger
from jcnn.study.storage.load import read_result
from jcnn.study.storage.run_key import digest
from tests.small import blobs

RACE = {
    "data": blobs(80, features=4, distance=1),
    "model": "mlp",
    "factors": {
        "activation": ["tanh", "relu"],
        "kernel_init": ["he_normal", "zeros"],
        "hidden": [(4,)],
    },
    "learning_rates": [0.3, 0.1, 0.03],
    "epochs": 2,
    "batch_size": 16,
    "within": 0.0,
    "max_runs": 60,
}


def outcomes(result):
    return {(r.combination, r.learning_rate, r.seed): r.outcome for r in result.records}


@pytest.fixture(scope="module")
def raced():
    return Study(**RACE).run()


def test_runs_of_a_race_are_those_of_the_grid(raced):
    grid = Study(**RACE | {"max_runs": None, "within": None, "full_grid": True, "seeds": 12}).run()
    known = outcomes(grid)
    found = {run: outcome for run, outcome in outcomes(raced).items() if run in known}
    assert len(found) > 40
    assert found == {run: known[run] for run in found}
    assert grid.study["full_grid"]
    assert not raced.study["full_grid"]


def test_every_part_of_the_answer_knows_that_seeds_differ(raced):
    counts = {len(row.values) for row in raced.ranking()}
    assert len(counts) > 1
    assert raced.answer.raced
    out = [row for row in raced.ranking() if row.combination in raced.answer.ruled_out]
    assert raced.ranking()[-len(out) :] == out
    assert {row.levels["kernel_init"] for row in out} == {"zeros"}


@pytest.mark.parametrize("after", [0.5, 7, 13, 26, 40, 47])
def test_an_interrupted_race_comes_to_the_same_runs(raced, after, tmp_path):
    def stop(event):
        if event.runs_done > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Study(**RACE).run(tmp_path, on_progress=stop)
    found = Study(**RACE).run(tmp_path)
    assert outcomes(found) == outcomes(raced)
    assert found.to_json(provenance=False) == raced.to_json(provenance=False)


def test_no_look_compiles():
    jax.clear_caches()
    counts = {}

    def note(event):
        counts[event.runs] = engine.compilations().compiled + engine.compilations().loaded

    Study(**RACE).run(on_progress=note)
    stages = sorted(counts)
    assert len(stages) > 4
    assert len({counts[stage] for stage in stages[1:]}) == 1


def test_a_time_budget_ends_a_race_which_can_go_on(monkeypatch, tmp_path):
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(runner, "time", clock)
    monkeypatch.setattr(study_module, "time", clock)
    stopped = Study(**RACE | {"budget": 150}).run(tmp_path)
    (note,) = stopped.notes
    assert f"stopped after the budget of 150 s: {len(stopped.records)} runs have finished" in note
    assert len(Ledger(tmp_path).runs()) == len(stopped.records) < 60
    assert {row.combination for row in stopped.ranking()} == {0, 1, 2, 3}
    on = Study(**RACE | {"budget": 10**6}).run(tmp_path)
    assert on.environment["runs_loaded"] == len(stopped.records)
    assert len(on.records) > len(stopped.records)
    assert outcomes(stopped).items() <= outcomes(on).items()


def test_a_budget_ends_while_another_process_trains_the_same_group(tmp_path):
    one = Study(**RACE | {"budget": 3.0})
    locks = StudyDirectory(tmp_path)
    names = [digest(group.label) for group in one.jobs(one.prepare())]
    held = [locks.claim(name, wait=False) for name in names]
    assert None not in held
    with pytest.raises(ValueError, match="stopped after the budget of 3 s: 0 runs have finished"):
        one.run(tmp_path)
    for lock in held:
        lock.release()
    assert one.run(tmp_path).records


def test_processes_that_share_a_directory_come_to_the_same_runs(raced, tmp_path):
    """Each trains a part of every stage."""
    worker = (
        "import sys; from tests.study.test_racing import RACE; from jcnn.study import Study; "
        "found = Study(**RACE).run(sys.argv[1]); print(found.environment['runs_trained'])"
    )
    command = [sys.executable, "-c", worker, str(tmp_path)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    trained = [int(process.communicate(timeout=300)[0]) for process in workers]
    assert sum(trained) == len(raced.records)
    found = Study(**RACE).run(tmp_path)
    assert found.environment["runs_trained"] == 0
    assert found.to_json(provenance=False) == raced.to_json(provenance=False)
    assert len(Ledger(tmp_path).runs()) == len(raced.records)


def test_a_race_in_which_everything_diverged_has_no_front():
    factors = {"kernel_init": ["he_normal", "glorot_normal"], "hidden": [(4,)]}
    result = Study(**RACE | {"learning_rates": [1e30], "factors": factors}).run()
    assert not any(row.comparable for row in result.by("loss").ranking())
    with pytest.raises(UsageError, match="parameters are unknown, or test loss is not compared"):
        result.by("loss").front("parameters")


def test_two_races_are_compared_at_their_last_looks(raced):
    same = difference(raced, raced)
    assert not any(one.real for one in same.moved)
    assert all(one.p == 1.0 for one in same.moved)
    other = Study(**RACE | {"data": blobs(80, features=4, distance=4)}).run()
    found = {one.levels["kernel_init"]: one for one in difference(raced, other).moved}
    assert found["he_normal"].real
    assert found["he_normal"].interval.low > 0
    assert not found["zeros"].real


def test_a_budget_too_short_for_anything_says_so():
    with pytest.raises(ValueError, match="stopped after the budget of 1e-06 s: 0 runs have"):
        Study(**RACE | {"budget": 1e-6}).run()


def test_a_race_that_does_not_fit_memory_goes_on_in_smaller_groups(raced, monkeypatch):
    whole = engine.Training.run

    def run(self):
        for done in whole(self):
            if len(self.outcomes) > 3 and done > 0:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
            yield done

    monkeypatch.setattr(engine.Training, "run", run)
    found = Study(**RACE).run()
    assert len(found.notes) == 2
    assert all("trained in smaller groups" in note for note in found.notes)
    assert outcomes(found).keys() == outcomes(raced).keys()


def test_a_combination_that_fails_at_a_later_stage_leaves_the_others(monkeypatch):
    whole = CompiledGroup.with_runs

    def with_runs(self, runs):
        if any(run.builder == 1 and run.seed == 2 for run in runs):
            raise RuntimeError("no such kernel")
        return whole(self, runs)

    monkeypatch.setattr(CompiledGroup, "with_runs", with_runs)
    found = Study(**RACE | {"factors": {"kernel_init": ["he_normal", "zeros", "orthogonal"],
                                        "hidden": [(4,)]}}).run()  # fmt: skip
    assert found.failures == {}  # trained alone, the combination is the only builder
    assert len(found.ranking()) == 3


def test_short_trainings_choose_rates_and_are_not_part_of_the_result(tmp_path):
    settings = RACE | {"epochs": 4, "halving_epochs": 1, "seeds": 5}
    settings |= {"max_runs": None, "within": None}
    settings["learning_rates"] = [0.3, 0.1, 0.03, 1e-4, 1e-5]
    result = Study(**settings).run(tmp_path)
    assert {len(record.outcome.curves["train_loss"]) for record in result.records} == {4}
    tried = {(record.combination, record.learning_rate) for record in result.records}
    assert len(result.stopped_rates) == 12
    assert not tried & set(result.stopped_rates)
    short = Ledger(tmp_path).runs()
    assert sum(len(run["outcome"]["curves"]["train_loss"]) == 1 for run in short) == 20
    # 0.03 is the smallest rate trained to the end, but not the smallest that was tried.
    assert not any(row.at_edge for row in result.ranking() if 1e-5 < row.learning_rate < 0.3)
    loaded = read_result(tmp_path)
    assert loaded.stopped_rates == result.stopped_rates
    assert any("12 learning rates were dropped" in line
               for line in loaded.answer.remarks)  # fmt: skip
    assert loaded.to_json(provenance=False) == result.to_json(provenance=False)
    again = Study(**settings).run(tmp_path)
    assert again.environment["runs_trained"] == 0
    assert again.to_json(provenance=False) == result.to_json(provenance=False)


def test_a_checkpoint_of_a_later_block_is_resumed_run_by_run(monkeypatch, tmp_path):
    """The last block of a stage is the only thing missing when the study is resumed."""
    settings = RACE | {
        "factors": {"kernel_init": ["he_normal", "glorot_normal"], "hidden": [(4,)]},
        "learning_rates": [0.1], "seeds": 18, "epochs": 4, "max_runs": 36,
    }  # fmt: skip
    whole = Study(**settings).run()
    assert len(whole.records) == 36
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(runner, "CHECKPOINT_SHARE", 1e9)
    monkeypatch.setattr(engine._training, "SECONDS_PER_CALL", 1e-9)
    monkeypatch.setattr(engine._training, "FIRST_CALL", 1)

    def stop(event):
        if event.runs_done > 32.5:  # in the middle of the second block of the look at 18 seeds
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Study(**settings).run(tmp_path, on_progress=stop)
    resumed = []
    started = engine.Training.__init__

    def start(self, compiled, snapshot=None):
        resumed.append(snapshot is not None)
        started(self, compiled, snapshot)

    monkeypatch.setattr(engine.Training, "__init__", start)
    found = Study(**settings).run(tmp_path)
    assert resumed == [True]
    assert outcomes(found) == outcomes(whole)


def test_a_share_of_runs_that_diverged_counts_each_rate_once():
    result = Study(**RACE | {"learning_rates": [1e9, 1e8, 0.1, 0.03]}).run().by("diverged")
    assert result.answer.raced
    shares = {row.levels["kernel_init"]: row.values for row in result.ranking()}
    assert shares["he_normal"] == [0.5]  # of the seed that has all rates
    assert not result.answer.ruled_out


def test_a_single_combination_keeps_to_its_limits():
    one = Study(**RACE | {"factors": {"activation": ["relu"], "hidden": [(4,)]}, "max_runs": 4})
    assert len(one.run().records) == 4


def test_runs_of_a_visit_that_is_cut_off_are_counted(monkeypatch, tmp_path):
    trained = runner.Runner._train
    blocks = []

    def train(self, part, block):
        blocks.append(block)
        if len(blocks) == 3:
            raise runner.OutOfTimeError
        trained(self, part, block)

    monkeypatch.setattr(runner.Runner, "_train", train)
    result = Study(**RACE | {"budget": 1000}).run(tmp_path)
    assert result.environment["runs_trained"] == len(result.records) > 0


def test_memory_that_holds_one_run_is_enough(monkeypatch):
    whole = runner.Job.compile

    def compiled(self, capacity):
        if capacity > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return whole(self, capacity)

    monkeypatch.setattr(runner.Job, "compile", compiled)
    settings = {key: RACE[key] for key in ("data", "model", "epochs", "batch_size")}
    points = [{"activation": "tanh", "hidden": (4,)}, {"activation": "relu", "hidden": (4,)}]
    found = Study(points=points, learning_rates=[0.1], seeds=1, **settings).run()
    assert not found.failures
    assert len(found.records) == 2
