"""A study's answer in plain sentences: what to use, what it can cost, what more would buy."""

import math
from collections.abc import Sequence

from jcnn.analysis.conditions import conditions
from jcnn.analysis.effect_text import effect_sentence
from jcnn.analysis.findings import Findings
from jcnn.analysis.labels import given, join_names, short_label
from jcnn.analysis.metric import Metric
from jcnn.analysis.ranking import Row
from jcnn.analysis.spread import FEWEST_SEEDS, FEWEST_VALUES
from jcnn.diagnosis.history import StepDiagnosis

# A forecast is for a bound of at most this share of the present one.
_LESS = 0.75
# The number of all combinations of the levels is named if it is at most so many times theirs.
_MOST_LISTED = 1000


def verdict(found: Findings) -> str:
    """What to use, what else may be the best, what that can cost, and what is ruled out."""
    rows, metric = found.rows, found.metric
    if len(rows) < 2 or not math.isfinite(rows[0].mean):
        return ""
    name = ", ".join(rows[0].levels.values())
    if not metric.tested:
        return (
            f"{name} came first. Time is measured for groups of runs together, so differences are "
            "not tested."
        )
    use = f"Use {name} (learning rate {rows[0].learning_rate:g})."
    if rows[0].lost:
        use = f"{name} came first, although {_lost_seeds(rows[0])} diverged."
    elif math.isnan(found.bound) and found.best is not None:
        use = f"{name} came first."
    return " ".join(filter(None, [use, _rest(found), _lost(rows, metric)]))


def effect_sentences(found: Findings) -> tuple[str, ...]:
    """A sentence per factor; none if the metric is not tested."""
    if not found.metric.tested or not found.rows:
        return ()
    return tuple(
        effect_sentence(
            effect, found.interactions, found.rows[0].levels[effect.factor], found.metric
        )
        for effect in found.effects
    )


def outlook(found: Findings) -> str:
    """What more seeds would buy: a forecast of the bound; empty if it cannot be said."""
    if not 0 < found.bound < math.inf:
        return ""
    goes_on = found.raced and found.by_task_metric
    if found.bound <= found.noise_floor(found.rows[0]):
        return (
            f"Errors on {found.test_examples} test examples alone spread an accuracy as much, so "
            f"more seeds would tell little{' (--within 0 goes on)' if goes_on else ''}."
        )
    bound = _round_below(_LESS * found.bound)
    forecast = found.forecast(bound)
    if forecast is None or not forecast.trainings:
        return ""
    left = len(found.rows) - len(found.ruled_out)
    more = f"{forecast.trainings:,} more training{'s' * (forecast.trainings > 1)}"
    flag = ""
    if goes_on:
        within = bound * (100 if found.metric.percent else 1)
        more, flag = f"at most {more}", f" (--within {within:g})"
    return (
        f"{forecast.seeds} seeds for each of the {left} that are left ({more}) would lower this "
        f"cost to about {found.metric.show_difference(bound)}{flag}."
    )


def remarks(found: Findings) -> tuple[str, ...]:
    """What readers of a ranking should know in addition to its numbers."""
    rows, lines = found.rows, []
    if found.sampled and rows:
        count = f"{len(found.combinations):,}"
        if found.possible <= _MOST_LISTED * len(found.combinations):
            count += f" of {found.possible:,}"
        lines.append(
            f"{count} combinations are in this study: nothing is said of others, and effects are "
            "those of an additive model of these points"
        )
    if any(row.at_edge for row in rows):
        lines.append(
            "* chosen at the edge of the rates tried: a better one may lie outside "
            "(--extend-learning-rates)"
        )
    if found.stopped_rates:
        several = len(found.stopped_rates)
        lines.append(
            f"{several} learning rate{'s were' if several > 1 else ' was'} dropped after a part of "
            "the epochs (--halving-epochs)"
        )
    floor = found.noise_floor(rows[0]) if rows else 0.0
    if floor > 0:
        lines.append(
            f"independent errors on {found.test_examples} test examples alone would spread the "
            f"best by {found.metric.show(floor)}"
        )
    return tuple(lines)


def seed_counts(rows: Sequence[Row]) -> str:
    """How many seeds combinations have: `5 seeds`, or `5 to 27 seeds`."""
    counts = [len(row.values) for row in rows] or [0]
    least, most = min(counts), max(counts)
    several = f"{least} to {most}" if least < most else f"{most}"
    return f"{several} seed{'s' * (most != 1)}"


def step_cells(steps: Sequence[StepDiagnosis]) -> list[str]:
    """Gradient ratio, saturated, dead, and what is wrong, from the first step to the last."""
    first, last = steps[0], steps[-1]
    return [
        _from_to(f"{first.gradient_ratio:.2g}", f"{last.gradient_ratio:.2g}"),
        _from_to(show_share(first.saturated), show_share(last.saturated)),
        _from_to(show_share(first.dead), show_share(last.dead)),
        _from_to(first.verdict, last.verdict),
    ]


def show_share(share: float) -> str:
    """A share of units or elements as a percentage; empty if it does not apply."""
    return "" if math.isnan(share) else f"{share:.0%}"


def _from_to(first: str, last: str) -> str:
    return first if first == last else f"{first} > {last}"


def _rest(found: Findings) -> str:
    """What is known of the combinations other than the first."""
    rows = [row for row in found.rows if row.comparable]
    if len(rows) < 2:
        return "Every other combination has seeds that diverged." if rows else ""
    if math.isnan(found.bound):
        return (
            f"Fewer than {FEWEST_VALUES} seeds do not tell combinations apart; {FEWEST_SEEDS} can "
            f"rule some of them out{_more_seeds(found)}."
        )
    left = [row for row in rows if row.combination not in found.ruled_out]
    if len(left) == 1 and len(rows) == 2:
        other = f"{short_label(rows[1].levels)} ({found.metric.show(rows[1].mean)})"
        return f"It is better than {other}, which is ruled out."
    if len(left) == 1:
        return (
            f"It is better than each of the other {len(rows) - 1}, which are ruled out; the next, "
            f"{short_label(rows[1].levels)}, reached {found.metric.show(rows[1].mean)}."
        )
    cost = f"at most {found.metric.show_bound(found.bound)}"
    count = f"{len(left)} of {len(rows)}" if len(left) < len(rows) else f"Any of the {len(rows)}"
    may = (
        f"{count} combinations may still be the best; choosing this one costs {cost} against any "
        "of them."
    )
    if len(left) == 2:
        other = next(short_label(row.levels) for row in left if row is not rows[0])
        may = f"{other} may still be better, by {cost}."
    if len(left) < len(rows):
        return f"{may} Ruled out: {_ruled_out(rows, found)}."
    if max(len(row.values) for row in rows) < FEWEST_SEEDS:
        may += f" Ruling one out takes {FEWEST_SEEDS} seeds{_more_seeds(found)}."
    return may


def _more_seeds(found: Findings) -> str:
    """How to get more seeds; in a race, its limits decide that."""
    return "" if found.raced else f" (--seeds {FEWEST_SEEDS})"


def _ruled_out(rows: Sequence[Row], found: Findings) -> str:
    """The combinations that are ruled out, described by what they have in common."""
    levels = [row.levels for row in rows]
    chosen = [i for i, row in enumerate(rows) if row.combination in found.ruled_out]
    parts = []
    for condition in conditions(chosen, levels):
        means = [rows[i].mean for i in sorted(condition.members)]
        first, last = found.metric.show(means[-1]), found.metric.show(means[0])
        name = given(condition.levels, " with ")
        if len(means) == 1:
            name = short_label(levels[min(condition.members)])
        parts.append(f"{name} ({first}{'' if first == last else f' to {last}'})")
    return join_names(parts)


def _lost(rows: Sequence[Row], metric: Metric) -> str:
    """Which combinations have seeds that diverged at the rate chosen for them, if any."""
    parts = [f"{_lost_seeds(row)} of {short_label(row.levels)}" for row in rows if row.lost]
    if not parts:
        return ""
    if math.isfinite(metric.worst):
        return f"{join_names(parts)} diverged, which counts as {metric.show(metric.worst)}."
    return f"{join_names(parts)} diverged, which has no value to compare by {metric.title}."


def _lost_seeds(row: Row) -> str:
    return f"{row.lost} of {len(row.values)} seeds"


def _round_below(value: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is at most `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value * (1 + 1e-9))
