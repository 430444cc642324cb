"""Does the verdict keep its error rates? Null studies and planted differences from recorded runs.

Command: python experiments/null_studies.py --out runs/null-studies
Cost: 2,000 runs of 3 epochs (1,000 seeds of one LeNet at two learning rates), 1 compilation: 50 s
on 2 CPU cores; then 24,000 simulated studies: 100 s.
Result (2,000 studies each; experiments/results/null-studies.json): a false winner in 3.6, 3.3 and
3.9% of null studies of 2 arms with 3, 5 and 10 seeds, in 2.2, 1.8 and 1.9% of 6 arms, in 1.4, 1.1
and 0.9% of 12. Planted differences of 16.4, 11.0 and 7.7 points, which need 6, 10 and 19 seeds for
a power of 80%, were found in 82.4, 82.8 and 82.2% of studies.

A null study gives the same scheme several names, each with its own seeds drawn from the recorded
runs, so any winner is false. It goes through the whole procedure: the learning rate is chosen on
validation, the best arm is compared with every other, and p-values are Holm-corrected. A planted
difference is added to all runs of one arm; the number of seeds is that of `seeds_needed`.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from jcnn import engine
from jcnn.analysis.result import Result, RunRecord
from jcnn.analysis.statistics import POWER, seeds_needed_for
from jcnn.engine import Outcome

RATES = (0.03, 0.1)
RECORDED = Path(__file__).parent / "results" / "null-studies.json"


def record(out, seeds, epochs):
    """Train, and return the validation and test accuracy of each seed by learning rate."""
    engine.use_all_cores()
    from jcnn import Study

    result = Study(
        model="lenet",
        factors={
            "features": [(8, 16)],
            "hidden": [(32,)],
            "kernel_init": ["he_untruncated_normal"],
        },
        learning_rates=RATES,
        seeds=seeds,
        epochs=epochs,
    ).run(out)
    by_rate = {rate: [] for rate in RATES}
    for run in result.records:
        pair = (run.outcome.curves["validation_accuracy"][-1], run.outcome.test["accuracy"])
        by_rate[run.learning_rate].append([round(value, 6) for value in pair])
    return {f"{rate:g}": values for rate, values in by_rate.items()}


def simulated(runs, rng, arms, seeds, planted=0.0):
    """Draw the seeds of each arm; the first arm's accuracies are raised by `planted`."""
    chosen = rng.choice(len(runs[0]), (arms, seeds), replace=False)
    records = [
        RunRecord(
            arm,
            rate,
            seed,
            Outcome(
                {"validation_accuracy": [values[i][0] + planted * (arm == 0)]},
                {"accuracy": values[i][1] + planted * (arm == 0)},
            ),
        )
        for arm in range(arms)
        for rate, values in zip(RATES, runs, strict=True)
        for seed, i in enumerate(chosen[arm])
    ]
    return Result({}, "accuracy", True, [{"name": str(arm)} for arm in range(arms)], records)


def false_winners(runs, studies, arms, seeds, start=0):
    """Return how many null studies find a significant difference."""
    rng = np.random.default_rng([start, arms, seeds])
    return sum(
        any(comparison.real for comparison in simulated(runs, rng, arms, seeds).comparisons())
        for _ in range(studies)
    )


def planted_found(runs, studies, effect, start=0):
    """Plant a difference of `effect` standard deviations of the paired difference of two arms.

    Return the difference in accuracy, the seeds needed, and how many studies found it.
    """
    best = max(runs, key=lambda values: np.mean([validation for validation, _ in values]))
    planted = effect * math.sqrt(2) * float(np.std([test for _, test in best], ddof=1))
    seeds = seeds_needed_for(effect, 0.05)
    rng = np.random.default_rng([start, seeds])
    found = 0
    for _ in range(studies):
        result = simulated(runs, rng, 2, seeds, planted)
        (comparison,) = result.comparisons()
        found += comparison.real and result.ranking()[0].levels["name"] == "0"
    return planted, seeds, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="save the runs in this directory")
    parser.add_argument("--smoke", action="store_true", help="few runs, and write no results")
    arguments = parser.parse_args()
    seeds, epochs, studies = (40, 1, 20) if arguments.smoke else (1000, 3, 2000)
    by_rate = record(arguments.out, seeds, epochs)
    runs = list(by_rate.values())
    null = [
        {"arms": arms, "seeds": n, "studies": studies,
         "false": false_winners(runs, studies, arms, n)}
        for arms in (2, 6, 12)
        for n in (3, 5, 10)
        if arms * n <= seeds
    ]  # fmt: skip
    print("arms seeds  false winners (at most 5%)")
    for row in null:
        print(f"{row['arms']:4} {row['seeds']:5}  {100 * row['false'] / studies:.1f}%")
    power = []
    print(f"planted      seeds  found (stated {100 * POWER:.0f}%)")
    for effect in (1.5, 1.0, 0.7):
        planted, n, found = planted_found(runs, studies, effect)
        power.append(
            {"effect": effect, "planted": planted, "seeds": n, "studies": studies, "found": found}
        )
        print(f"{100 * planted:.1f} points {n:6}  {100 * found / studies:.1f}%")
    if not arguments.smoke:
        content = {"null": null, "power": power, "runs": by_rate}
        RECORDED.write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main()
