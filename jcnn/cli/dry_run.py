"""`jcnn compare --dry-run`: what a study would train, and about what that would cost."""

from pathlib import Path
from typing import TYPE_CHECKING

from jcnn import strict_json

if TYPE_CHECKING:
    from jcnn.study import Study


def dry_run(study: "Study", out: Path, *, as_json: bool) -> int:
    """Print the plan of a study that would be kept in `out`. Nothing is trained or left there."""
    from jcnn.study.estimate import estimate

    plan = estimate(study, out)
    if as_json:
        print(strict_json.dumps(plan))
        return 0
    print(
        f"{plan.runs} runs: {plan.combinations} combinations x {len(study.learning_rates)} "
        f"learning rates x {len(study.seed_values)} seeds, {study.epochs} epochs each"
    )
    if plan.found:
        print(f"{plan.found} of them are in {out} already")
    if plan.groups:
        print(
            f"{plan.groups} compilations, {plan.compile_seconds:.0f} s (less where programs are "
            "found compiled)"
        )
        print(f"about {_spelled(plan.train_seconds)} of training, by one call of each program")
        print(f"about {plan.memory / 1e6:,.0f} MB on each of {plan.devices} devices at most")
    for combination, reason in plan.failures.items():
        print(f"cannot be trained: {combination}: {reason}")
    return 0


def _spelled(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
