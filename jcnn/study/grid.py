"""The groups of a study with the runs of its full grid."""

from jcnn.study.allocation import Wanted
from jcnn.study.job import Job
from jcnn.study.plan import Plan
from jcnn.study.prepare import Prepared


def full_grid(plan: Plan, prepared: Prepared) -> list[Job]:
    """Return a study's groups, each with every combination, learning rate and seed of its own."""
    grid = [
        Wanted(combination, rate, seed)
        for combination in range(len(plan.combinations))
        for rate in plan.rates(combination)
        for seed in plan.seed_values
    ]
    return [Job(plan, *prepared, members).wanting(grid) for members in plan.groups]
