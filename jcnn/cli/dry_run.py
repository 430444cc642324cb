"""`jcnn compare --dry-run`: what a study would train, and an estimate of the cost."""

from pathlib import Path
from typing import TYPE_CHECKING

from jcnn import strict_json
from jcnn.cli.formatting import count, duration
from jcnn.cli.tables import console

if TYPE_CHECKING:
    from jcnn.study import Study


def describe_runs(study: "Study") -> str:
    """Return the factors of a study's number of runs."""
    return (
        f"{count(len(study.combinations), 'combination')} x "
        f"{count(len(study.learning_rates), 'learning rate')} x "
        f"{count(len(study.seed_values), 'seed')}, {count(int(study.epochs), 'epoch')} each"
    )


def print_plan(study: "Study", out: Path, *, as_json: bool) -> int:
    """Print the plan of a study in the directory `out`. Nothing is trained or written."""
    from jcnn.study.cost_estimate import estimate

    plan = estimate(study, out)
    if as_json:
        print(strict_json.dumps(plan))
        return 0
    lines = [f"{count(plan.runs, 'run')}: {describe_runs(study)}"]
    if plan.finished:
        lines.append(f"{plan.finished} of them have already finished in {out}")
    if plan.groups:
        lines += [
            f"{count(plan.groups, 'compilation')}, {plan.compile_seconds:.0f} s (less for programs "
            "in the compilation cache)",
            f"about {duration(plan.train_seconds)} of training, estimated from one call of each "
            "program",
            f"at most about {plan.memory / 1e6:,.0f} MB per device on "
            f"{count(plan.devices, 'device')}",
        ]
    for combination, reason in plan.failures.items():
        lines.append(f"cannot be trained: {combination}: {reason}")
    for line in lines:
        console().print(line)
    return 0
