"""`jcnn compare --dry-run`: what a study would train, and an estimate of the cost."""

from pathlib import Path
from typing import TYPE_CHECKING

from jcnn import strict_json
from jcnn.cli.formatting import count, duration
from jcnn.cli.tables import console

if TYPE_CHECKING:
    from jcnn.study import Study
    from jcnn.study.cost_estimate import Estimate


def describe_runs(study: "Study") -> str:
    """Return how many runs a study has, and what they are made of."""
    seeds = f" x {count(len(study.seed_values), 'seed')}"
    rates = f" x {count(len(study.learning_rates), 'learning rate')}"
    own_rates = "learning_rate" in study.levels
    parts = (
        f"{count(study.compilations, 'compilation')}: "
        f"{count(len(study.combinations), 'combination')}"
        f"{'' if own_rates else rates}"
        f"{', seeds where they are needed' if study.races else seeds}, "
        f"{count(int(study.epochs), 'epoch')} each"
    )
    if not study.races:
        return f"{count(study.runs, 'run')}, {parts}"
    limits = []
    if study.most_runs is not None:
        limits.append(f"at most {count(study.most_runs, 'run')}")
    if study.budget is not None:
        limits.append(f"at most {duration(study.budget)}")
    if study.within == 0:
        limits.append("until one combination is left")
    elif study.within is not None:
        limits.append(
            f"until choosing the first costs at most {study.within:g} (points, of an accuracy)"
        )
    return f"{', '.join(limits)}, {parts}"


def print_plan(study: "Study", out: Path, *, as_json: bool) -> int:
    """Print the plan of a study in the directory `out`. Nothing is trained or written."""
    from jcnn.study.cost_estimate import estimate

    plan = estimate(study, out)
    if as_json:
        print(strict_json.dumps(plan))
        return 0
    lines = [describe_runs(study)]
    if plan.finished:
        lines.append(f"{plan.finished} of them have already finished in {out}")
    if plan.groups:
        lines += [
            f"{count(plan.groups, 'compilation')}, {plan.compile_seconds:.0f} s (less for programs "
            "in the compilation cache)",
            *_training(study, plan),
            f"at most about {plan.memory / 1e6:,.0f} MB per device on "
            f"{count(plan.devices, 'device')}",
        ]
    for combination, reason in plan.failures.items():
        lines.append(f"cannot be trained: {combination}: {reason}")
    for line in lines:
        console().print(line)
    return 0


def _training(study: "Study", plan: "Estimate") -> list[str]:
    """Return what training costs, estimated from one call of each program."""
    each = plan.seconds_per_run
    if not study.races:
        return [
            f"about {duration(plan.train_seconds)} of training, {each:.2g} s per run, estimated "
            "from one call of each program"
        ]
    return [
        f"about {each:.2g} s of training per run, estimated from one call of each program",
        f"{plan.first_look_runs} runs ({duration(plan.first_look_runs * each)}) until combinations "
        f"can be ruled out, {plan.runs} ({duration(plan.runs * each)}) if none is",
        f"full grid (--full-grid): {plan.full_grid_runs} runs "
        f"({duration(plan.full_grid_runs * each)})",
    ]
