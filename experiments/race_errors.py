"""Does a race keep its error rates over all looks, and what does it save? Simulated studies.

Command: python experiments/race_errors.py
Cost: 130 min of processor time on 2 CPU cores.
Result (1,000 studies each; experiments/results/race-errors.json): the best arm is ruled out at any
look in 0 to 3.5% of null races, one of two equal arms is a false sole winner in 4.1% at most, and a
report has any false sentence in 0 to 5.9%, with 12 arms in 7.4% if half of the seeds fail and in
8.5% for coarse steps, with 40 arms in 8.4% if a third of the seeds fail. The default study takes
236 trainings and rules out 70% of the combinations that are half a point worse. If it goes on to
the 300 trainings of its full grid, 268 rule out 77%; paired tests of all pairs need 1,080 for 75%.

`null` races arms of the same distribution to 40 seeds; everything that is ruled out at any look,
and everything that levels gain by the first look, is false. `chosen rates` does the same with
recorded trainings of one network at two learning rates, which are halved first. `bound` races arms
of different means and spreads. `power` races the combinations of a recorded default study (`jcnn
compare`, 40 seeds) within different numbers of trainings, by the code that decides what a study
trains, and counts how many of those
that are at least half a point worse are ruled out. `pairs` does so for full grids, judged as jcnn
did before: paired t-tests of all pairs with Holm's correction.
"""

import argparse
import itertools
import json
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np

from answer_errors import (
    DISTRIBUTIONS,
    RECORDED,
    RESULTS,
    STUDIES,
    TEST_EXAMPLES,
    WORSE,
    at_chosen_rate,
    design,
)
from jcnn.analysis import race
from jcnn.analysis.gains import Arm, family
from jcnn.analysis.racing import LOOKS
from jcnn.analysis.spread import mean_interval

# The distributions of races of 40 arms, which take most of the time.
MANY = ("normal", "359 examples", "heavy tails (t3)", "skewed", "30% collapse")
# Limits of a race that goes on until one combination is left; None is the default study.
MOST_RUNS = (None, 200, 240, 300, 400, 600, 1000)


def race_to_the_end(values, resolution):
    """What is false in a report after any look if all arms are alike."""
    arms = [row[: LOOKS[0]] for row in values]
    out = alone = False
    firsts = [Arm(levels, row) for levels, row in zip(design(len(arms)), arms, strict=True)]
    effects = family(firsts, resolution=resolution)
    beats = any(each.real for each in (*effects.gains, *effects.interactions))
    for size in (*LOOKS[1:], None):
        found = race(arms, resolution=resolution)
        out |= not found.left[0]
        alone |= found.left.sum() == 1
        if size is None or found.left.sum() == 1:
            break
        pairs = zip(values, arms, found.left, strict=True)
        arms = [row[:size] if left else arm for row, arm, left in pairs]
    return out, alone, out or beats


def counted(kind, arms, studies, answers):
    """A row of the table of errors."""
    out, alone, sentence = np.array(answers).sum(axis=0).tolist()
    return {
        "kind": kind, "arms": arms, "studies": studies, "best ruled out": out,
        "sole winner": alone, "any false sentence": sentence,
    }  # fmt: skip


def null_race(case, studies):
    """Count what is false in races of arms of one distribution."""
    kind, arms = case
    draw, resolution = DISTRIBUTIONS[kind]
    rng = np.random.default_rng([6, arms])
    answers = [race_to_the_end(draw(rng, (arms, LOOKS[-1])), resolution) for _ in range(studies)]
    return counted(kind, arms, studies, answers)


def chosen_rates(arms, studies, runs):
    """Count what is false in races of recorded runs; the rate is chosen with three seeds."""
    rng = np.random.default_rng([7, arms])
    answers = []
    for _ in range(studies):
        drawn = runs[:, rng.choice(runs.shape[1], (arms, LOOKS[-1]), replace=False)]
        drawn = drawn.transpose(1, 0, 2, 3)
        best = np.nan_to_num(drawn[:, :, :3, 0], nan=-1).mean(axis=2).argmax(axis=1)
        values = np.nan_to_num(drawn[np.arange(arms), best, :, 1])
        answers.append(race_to_the_end(values, 1 / TEST_EXAMPLES))
    return counted("chosen rates", arms, studies, answers)


def bounds(arms, studies):
    """Count how often the bound holds, and the best is kept, for arms of unequal means."""
    rng = np.random.default_rng([8, arms])
    held = kept = intervals = 0
    for _ in range(studies):
        means, spreads = 0.97 - rng.exponential(0.01, arms), 0.01 * rng.lognormal(0, 0.5, arms)
        values = rng.normal(means[:, None], spreads[:, None], (arms, LOOKS[-1]))
        seen = [row[: LOOKS[0]] for row in values]
        for size in LOOKS:
            found = race(seen)
            pairs = zip(values, seen, found.left, strict=True)
            seen = [row[:size] if left else arm for row, arm, left in pairs]
        held += means.max() - means[found.leader] <= found.bound
        kept += found.left[means.argmax()]
        ends = np.array([mean_interval(arm) for arm in seen])
        intervals += ((ends[:, 0] <= means) & (means <= ends[:, 1])).mean()
    return {
        "arms": arms, "studies": studies, "held": int(held), "kept": int(kept),
        "intervals that hold": float(intervals / studies),
    }  # fmt: skip


class Recorded(Mapping):
    """The outcomes of a recorded study, its seeds in another order."""

    def __init__(self, runs, rates, order):
        self._runs, self._rates, self._order = runs, rates, order

    def __contains__(self, run):
        return True

    def __getitem__(self, run):
        from jcnn.engine import Outcome

        validation, test = self._runs[
            run.combination, self._rates.index(run.learning_rate), self._order[run.seed]
        ]
        ended = 1 if np.isnan(test) else None
        return Outcome(
            {"validation_accuracy": [float(validation)]}, {"accuracy": float(test)}, ended
        )

    def __iter__(self):
        return iter(())

    def __len__(self):
        return 0


def power(most, studies, runs, rates):
    """Race a recorded default study within so many trainings."""
    from jcnn.analysis import Result, RunRecord
    from jcnn.study import Study
    from jcnn.study.allocation import Allocation

    study = Study() if most is None else Study(max_runs=most, within=0.0)
    empty = Result(
        study.describe(), "accuracy", True, [each.names() for each in study.combinations],
        test_examples=TEST_EXAMPLES,
    )  # fmt: skip
    allocation = Allocation(study, empty)
    rng = np.random.default_rng([9, most or 0])
    means = at_chosen_rate(runs).mean(axis=1)
    worse = set(np.flatnonzero(means < means.max() - WORSE).tolist())
    spent, ruled_out, best_kept, held, found_bounds = [], 0.0, 0, 0, []
    for _ in range(studies):
        outcomes = Recorded(runs, rates, rng.permutation(runs.shape[2]).tolist())
        wanted = allocation.wanted(outcomes, {})
        records = [RunRecord(*run[:3], outcomes[run]) for run in wanted]
        answer = replace(empty, records=records).answer
        spent.append(len(wanted))
        ruled_out += len(worse & answer.ruled_out) / len(worse)
        best_kept += int(means.argmax()) not in answer.ruled_out
        held += means.max() - means[answer.rows[0].combination] <= answer.bound
        found_bounds.append(answer.bound)
    return {
        "most trainings": most, "studies": studies, "trainings": float(np.mean(spent)),
        "ruled out": ruled_out / studies, "kept": int(best_kept), "held": int(held),
        "median bound": float(np.median(found_bounds)),
    }  # fmt: skip


def pairs(seeds, studies, runs):
    """Test all pairs of a full grid by paired t-tests with Holm's correction."""
    from scipy import stats

    rng = np.random.default_rng([10, seeds])
    means = at_chosen_rate(runs).mean(axis=1)
    worse = np.flatnonzero(means < means.max() - WORSE)
    places = np.array(list(itertools.combinations(range(len(means)), 2)))
    ruled_out = 0.0
    for _ in range(studies):
        drawn = at_chosen_rate(runs[:, :, rng.choice(runs.shape[2], seeds, replace=False)])
        first, second = drawn[places[:, 0]], drawn[places[:, 1]]
        p = np.nan_to_num(stats.ttest_rel(first, second, axis=1).pvalue, nan=1.0)
        order = np.argsort(p)
        holm = np.empty(len(p))
        holm[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
        leader = drawn.mean(axis=1).argmax()
        told_apart = {
            int(sum(pair) - leader)
            for pair, value in zip(places, holm, strict=True)
            if value <= 0.05 and leader in pair
        }
        ruled_out += len(told_apart.intersection(worse.tolist())) / len(worse)
    return {
        "seeds": seeds, "studies": studies, "trainings": int(np.prod(runs.shape[:2]) * seeds),
        "ruled out": ruled_out / studies,
    }  # fmt: skip


def shown(row):
    """One line of the output."""
    parts = []
    for name, value in row.items():
        if name in ("best ruled out", "sole winner", "any false sentence", "held", "kept"):
            parts.append(f"{name} {value / row['studies']:.1%}")
        elif name == "ruled out":
            parts.append(f"{name} {value:.1%}")
        else:
            parts.append(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}")
    return "  " + ", ".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few studies, and write no results")
    arguments = parser.parse_args()
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    null, default = (
        np.array(part["runs"], float).reshape(part["shape"])
        for part in (recorded["null"], recorded["default"])
    )
    smoke, rates = arguments.smoke, recorded["default"]["rates"]
    studies = 4 if smoke else STUDIES
    arms = (2, 12) if smoke else (2, 6, 12)
    kinds = ("normal", "steps") if smoke else tuple(DISTRIBUTIONS)
    cases = [*itertools.product(kinds, arms), *([] if smoke else [(kind, 40) for kind in MANY])]
    most, seeds = ((None, 300), (5,)) if smoke else (MOST_RUNS, (5, 8, 12, 18, 27, 40))
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = {
            "power": pool.map(partial(power, studies=studies, runs=default, rates=rates), most),
            "pairs": pool.map(partial(pairs, studies=studies, runs=default), seeds),
            "chosen rates": pool.map(
                partial(chosen_rates, studies=studies, runs=null[0]), (2, 6, 12)
            ),
            "bound": pool.map(partial(bounds, studies=studies), (2, 6, 12)),
            "null": pool.map(
                partial(null_race, studies=studies),
                cases,
            ),
        }
        content = {}
        for name, rows in parts.items():
            print(f"\n{name}")
            content[name] = []
            for row in rows:
                content[name].append(row)
                print(shown(row), flush=True)
    if not smoke:
        path = RESULTS / "race-errors.json"
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
