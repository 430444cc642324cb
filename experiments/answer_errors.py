"""Does the answer of a study keep its error rates, and what does it find? Simulated studies.

Command: python experiments/answer_errors.py --out runs/answer-errors
Cost: 70 min of processor time on 2 CPU cores; with --record, 4,400 more trainings.
Result (1,000 studies each; experiments/results/answer-errors.json): the best arm is ruled out in
0 to 4.0% of null studies, any false sentence occurs in 0 to 6.5%, unless a third or more of the
seeds fail to train (up to 9.1% for 12 arms of 5 seeds, 24.6% for 40). The bound holds in 98.4% and
more. Of the combinations that are half a point worse, studies of 5, 12 and 27 seeds rule out 40, 78
and 99.6%.

In a null study all arms have the same distribution, so every "ruled out" and "beats" is false.
`simulated` draws arms from distributions of accuracies, `chosen rates` from recorded trainings of
one network at two learning rates, of which validation chooses. `bound` draws arms of different
means and spreads, and counts how often the leader is behind by more than the bound. `power` draws
studies from a recorded default study of 40 seeds (`jcnn compare`), and counts how many of the
combinations that are at least half a point worse are ruled out. `--record` trains both again.
"""

import argparse
import itertools
import json
import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from jcnn.analysis import could_be_best
from jcnn.analysis.gains import Arm, family
from jcnn.analysis.spread import mean_interval

RESULTS = Path(__file__).parent / "results"
RECORDED = RESULTS / "recorded-runs.json"
STUDIES = 1000
WORSE = 0.005
TEST_EXAMPLES = 359


def collapsing(share, rng, size):
    """Accuracies of which a share of the seeds stays at chance."""
    return np.where(rng.random(size) < share, 0.1, rng.normal(0.95, 0.01, size))


# Distributions of one arm, and the step between possible values if it is known.
DISTRIBUTIONS = {
    "normal": (lambda rng, size: rng.normal(0.95, 0.01, size), None),
    "359 examples": (lambda rng, size: rng.binomial(359, 0.97, size) / 359, 1 / 359),
    "50 examples": (lambda rng, size: rng.binomial(50, 0.9, size) / 50, 1 / 50),
    "heavy tails (t3)": (lambda rng, size: 0.95 + 0.01 * rng.standard_t(3, size), None),
    "skewed": (lambda rng, size: 1 - 0.02 * rng.exponential(size=size), None),
    "10% collapse": (partial(collapsing, 0.1), None),
    "30% collapse": (partial(collapsing, 0.3), None),
    "50% collapse": (partial(collapsing, 0.5), None),
    "ties": (lambda rng, size: rng.choice([0.96, 0.98], size, p=[0.2, 0.8]), 0.02),
    "steps": (lambda rng, size: 23.0 * rng.integers(2, 5, size), None),
}
DESIGNS = {2: (2,), 6: (3, 2), 12: (3, 2, 2), 40: (5, 4, 2)}


def design(arms):
    """Levels of a full factorial design."""
    every = itertools.product(*(range(levels) for levels in DESIGNS[arms]))
    return [{f"factor{i}": str(level) for i, level in enumerate(levels)} for levels in every]


def judged(values, resolution):
    """Whether arm 0 is ruled out, whether one is left alone, whether any level beats another."""
    best = could_be_best(values, resolution=resolution)
    arms = [Arm(levels, row) for levels, row in zip(design(len(values)), values, strict=True)]
    found = family(arms, resolution=resolution)
    beats = any(each.real for each in (*found.gains, *found.interactions))
    return not best.left[0], best.left.sum() == 1, beats


def null_study(case, studies):
    """Count what is false in null studies of a distribution."""
    kind, arms, seeds = case
    draw, resolution = DISTRIBUTIONS[kind]
    rng = np.random.default_rng([arms, seeds])
    out, alone, beats = np.array(
        [judged(draw(rng, (arms, seeds)), resolution) for _ in range(studies)]
    ).T
    return {
        "kind": kind, "arms": arms, "seeds": seeds, "studies": studies,
        "best ruled out": int(out.sum()), "sole winner": int(alone.sum()),
        "any false sentence": int((out | beats).sum()),
    }  # fmt: skip


def chosen_rates(case, studies, runs):
    """Count what is false in null studies of recorded runs; the rate is chosen on validation."""
    arms, seeds = case
    rng = np.random.default_rng([1, arms, seeds])
    false = np.zeros(3, int)
    for _ in range(studies):
        drawn = runs[:, rng.choice(runs.shape[1], (arms, seeds), replace=False)]
        values = at_chosen_rate(drawn.transpose(1, 0, 2, 3))
        out, alone, beats = judged(values, 1 / TEST_EXAMPLES)
        false += [out, alone, out or beats]
    return {
        "kind": "chosen rates", "arms": arms, "seeds": seeds, "studies": studies,
        "best ruled out": int(false[0]), "sole winner": int(false[1]),
        "any false sentence": int(false[2]),
    }  # fmt: skip


def at_chosen_rate(runs):
    """Test values of each arm at its rate; `runs` are (arms, rates, seeds, (validation, test))."""
    best = np.nan_to_num(runs[..., 0], nan=-1).mean(axis=2).argmax(axis=1)
    return np.nan_to_num(runs[np.arange(len(runs)), best, :, 1])


def bounds(case, studies):
    """Count how often the bound holds, and the best is kept, for arms of unequal means."""
    arms, seeds = case
    rng = np.random.default_rng([2, arms, seeds])
    held = kept = 0
    for _ in range(studies):
        means, spreads = 0.97 - rng.exponential(0.01, arms), 0.01 * rng.lognormal(0, 0.5, arms)
        found = could_be_best(rng.normal(means[:, None], spreads[:, None], (arms, seeds)))
        held += means.max() - means[found.leader] <= found.bound
        kept += found.left[means.argmax()]
    return {"arms": arms, "seeds": seeds, "studies": studies, "held": int(held), "kept": int(kept)}


def coverage(case, studies):
    """Count how often the interval holds the mean."""
    kind, seeds = case
    draw, _ = DISTRIBUTIONS[kind]
    rng = np.random.default_rng([3, seeds])
    true = draw(np.random.default_rng(4), 2_000_000).mean()
    ends = np.array([mean_interval(row) for row in draw(rng, (studies, seeds))])
    held = (ends[:, 0] <= true) & (true <= ends[:, 1])
    return {"kind": kind, "seeds": seeds, "studies": studies, "held": int(held.sum())}


def power(seeds, studies, runs):
    """Draw studies from the recorded default study, and count what they find."""
    rng = np.random.default_rng([5, seeds])
    means = at_chosen_rate(runs).mean(axis=1)
    worse = means < means.max() - WORSE
    ruled_out = best_kept = held = 0
    found_bounds = []
    for _ in range(studies):
        drawn = runs[:, :, rng.choice(runs.shape[2], seeds, replace=False)]
        found = could_be_best(at_chosen_rate(drawn), resolution=1 / TEST_EXAMPLES)
        ruled_out += (~found.left[worse]).mean()
        best_kept += found.left[means.argmax()]
        held += means.max() - means[found.leader] <= found.bound
        found_bounds.append(found.bound)
    return {
        "seeds": seeds, "studies": studies, "trainings": int(np.prod(runs.shape[:2]) * seeds),
        "ruled out": ruled_out / studies, "kept": int(best_kept), "held": int(held),
        "median bound": float(np.median(found_bounds)),
    }  # fmt: skip


def record(out, smoke):
    """Train one network at two rates, and the default study; return both as arrays."""
    from jcnn import Study, engine

    engine.use_all_cores()
    epochs = 1 if smoke else 3
    network = {"features": [(8, 16)], "hidden": [(32,)], "kernel_init": ["he_untruncated_normal"]}
    null = Study(
        factors=network, learning_rates=(0.03, 0.1), seeds=60 if smoke else 1000, epochs=epochs
    )
    small = {"seeds": 10, "epochs": 1, "learning_rates": (0.1, 0.03)} if smoke else {"seeds": 40}
    return {
        name: as_lists(study.run(None if out is None else Path(out) / name))
        for name, study in (("null", null), ("default", Study(**small, full_grid=True)))
    }


def as_lists(result):
    """Validation and test accuracy by combination, rate and seed; NaN for runs that diverged."""
    rates = sorted({record.learning_rate for record in result.records})
    seeds = sorted({record.seed for record in result.records})
    runs = np.full((len(result.combinations), len(rates), len(seeds), 2), np.nan)
    for run in result.records:
        if run.outcome.diverged_at is None:
            place = run.combination, rates.index(run.learning_rate), seeds.index(run.seed)
            runs[place] = (
                run.outcome.curves["validation_accuracy"][-1],
                run.outcome.test["accuracy"],
            )
    numbers = [None if math.isnan(v) else round(v, 4) for v in runs.ravel().tolist()]
    return {"shape": runs.shape, "rates": rates, "runs": numbers}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="save the trainings of --record in this directory")
    parser.add_argument("--record", action="store_true", help="train the recorded runs again")
    parser.add_argument("--smoke", action="store_true", help="few runs, and write no results")
    arguments = parser.parse_args()
    if arguments.record or arguments.smoke:
        recorded = record(arguments.out, arguments.smoke)
        if not arguments.smoke:
            RECORDED.write_text(json.dumps(recorded), encoding="utf-8")
    else:
        recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    null, default = (
        np.array(part["runs"], float).reshape(part["shape"])
        for part in (recorded["null"], recorded["default"])
    )
    studies = 10 if arguments.smoke else STUDIES
    seeds = (5,) if arguments.smoke else (5, 10, 40)
    arms = (2, 12) if arguments.smoke else (2, 6, 12)
    cases = [*itertools.product(DISTRIBUTIONS, arms, seeds)]
    cases += [] if arguments.smoke else [(kind, 40, 5) for kind in DISTRIBUTIONS]
    # Not forked: recording has started JAX's threads.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        content = {
            "null": [
                *pool.map(partial(null_study, studies=studies), cases),
                *pool.map(partial(chosen_rates, studies=studies, runs=null[0]),
                          itertools.product(arms, (5,) if arguments.smoke else (5, 10))),
            ],
            "bound": [*pool.map(partial(bounds, studies=studies), itertools.product(arms, seeds))],
            "intervals": [
                *pool.map(partial(coverage, studies=20 * studies),
                          itertools.product(DISTRIBUTIONS, (3, *seeds)))
            ],
            "power": [
                *pool.map(partial(power, studies=studies, runs=default),
                          (5,) if arguments.smoke else (5, 8, 12, 18, 27))
            ],
        }  # fmt: skip
    for name, rows in content.items():
        print(f"\n{name}")
        for row in rows:
            shown = [f"{value:.1%}" if key == "ruled out" else
                     f"{key} {value / row['studies']:.1%}" if isinstance(value, int) and
                     key in ("best ruled out", "sole winner", "any false sentence", "held", "kept")
                     else f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                     for key, value in row.items()]  # fmt: skip
            print("  " + ", ".join(shown))
    if not arguments.smoke:
        (RESULTS / "answer-errors.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
