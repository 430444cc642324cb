"""A study's answer in plain sentences: the best combination, and each factor's levels."""

import math
from collections.abc import Sequence

from jcnn.analysis.effects import Effect
from jcnn.analysis.interactions import Interaction
from jcnn.analysis.labels import join_names, short_label
from jcnn.analysis.metric import Metric
from jcnn.analysis.ranking import Row
from jcnn.analysis.statistics import Comparison
from jcnn.diagnosis.history import StepDiagnosis

# Larger numbers of seeds are not worth naming.
MANY = 1000


def verdict(rows: Sequence[Row], comparisons: Sequence[Comparison], metric: Metric) -> str:
    """Which combination is best, and which cannot be distinguished from it.

    `comparisons` are the first row against each other row.
    """
    if len(rows) < 2 or not math.isfinite(rows[0].mean):
        return ""
    return _compared(rows, comparisons, metric) + _lost(rows, metric)


def _lost(rows: Sequence[Row], metric: Metric) -> str:
    """Which combinations have seeds that diverged at the rate chosen for them, if any."""
    parts = [
        f"{row.lost} of {len(row.values)} seeds of {short_label(row.levels)}"
        for row in rows
        if row.lost
    ]
    if not parts:
        return ""
    worst = metric.show(metric.worst) if math.isfinite(metric.worst) else "the worst value"
    return f"; {join_names(parts)} diverged, which counts as {worst}"


def _compared(rows: Sequence[Row], comparisons: Sequence[Comparison], metric: Metric) -> str:
    best = short_label(rows[0].levels)
    if rows[0].lost:
        return f"{best} came first, although not all of its seeds trained"
    if not metric.tested:
        return (
            f"{best} came first; time is measured for groups of runs together, so differences are "
            "not tested"
        )
    judged = [
        (short_label(row.levels), comparison)
        for row, comparison in zip(rows[1:], comparisons, strict=True)
        # An infinite worst value cannot be tested, and surviving seeds alone say nothing.
        if math.isfinite(comparison.p) and not (row.lost and math.isinf(metric.worst))
    ]
    if not judged and all(row.lost for row in rows[1:]):
        return f"{best} is best: every other combination has seeds that diverged"
    if not judged:
        return (
            f"{best} came first, but one seed cannot tell it from the rest: give at least two "
            "(--seeds)"
        )
    equal = [name for name, comparison in judged if comparison.equal]
    unclear = [pair for pair in judged if not (pair[1].real or pair[1].equal)]
    ahead = len(judged) - len(unclear) - len(equal)
    others = f"; ahead of the other {ahead}" if ahead else ""
    same = f"{join_names([best, *equal])} do equally well on every seed" if equal else ""
    if equal and not unclear:
        return same + others
    if not unclear:
        name, comparison = judged[0]
        return (
            f"{best} is best: ahead of every other combination, of {_next(rows, name)} by "
            f"{_tested(comparison, metric)}"
        )
    sentence = (
        f"not enough seeds to tell {best} from {join_names([name for name, _ in unclear])}"
        f" (from the next by {_tested(unclear[0][1], metric)}){_seeds_needed(unclear[0][1])}"
    )
    return sentence + others + (f"; {same}" if same else "")


def _next(rows: Sequence[Row], name: str) -> str:
    """The combination of the first comparison: the next one, if that can be compared."""
    return f"the next ({name})" if name == short_label(rows[1].levels) else name


def effect_sentence(effect: Effect, metric: Metric) -> str:
    """The levels of a factor compared, averaged over the settings that they share."""
    factor, trained = effect.factor, effect.trained
    if len(trained) < 2:
        return f"{factor}: only {join_names(trained)} could be trained" if trained else ""
    if not effect.levels:
        return f"{factor}: every setting has a level that diverged, so levels are not compared"
    best, *others = effect.levels
    compared = [
        (level, level.comparison)
        for level in others
        if level.comparison is not None and not level.lost
    ]
    real = [f"{level.name} by {_tested(c, metric)}" for level, c in compared if c.real]
    equal = [level.name for level, c in compared if c.equal]
    unclear = [(level, c) for level, c in compared if not (c.real or c.equal)]
    names = join_names([level.name for level, _ in unclear]) if unclear else ""
    parts = [f"{best.name} beats {join_names(real)}"] if real else []
    if equal:
        parts.append(f"{join_names([best.name, *equal])} do equally well on every seed")
    if unclear and math.isfinite(unclear[0][1].p):
        parts.append(
            f"not enough seeds to tell {best.name} from {names} "
            f"({_tested(unclear[0][1], metric)}){_seeds_needed(unclear[0][1])}"
        )
    elif unclear:
        gap = metric.show_difference(abs(best.mean - unclear[0][0].mean))
        parts.append(f"{best.name} came first, {names} behind ({gap}), on one seed")
    lost = [level.name for level in effect.levels if level.lost]
    if lost:
        parts.append(f"seeds of {join_names(lost)} diverged")
    if effect.untrained:
        parts.append(f"{join_names(effect.untrained)} could not be trained")
    return f"{factor}: {'; '.join(parts)}"


def interaction_sentence(interaction: Interaction, metric: Metric) -> str:
    """An interaction as a sentence."""
    first, second = interaction.gains
    other = interaction.levels[1]
    then = f"by {_difference(second, metric)} with {other}"
    if second.interval.low <= 0 <= second.interval.high:
        then = f"not with {other} ({_difference(second, metric)})"
    elif second.difference < 0:
        then = f"and is behind with {other} ({_difference(second, metric)})"
    return (
        f"{interaction.factor} x {interaction.other}: {interaction.better} beats "
        f"{interaction.worse} by {_difference(first, metric)} with {interaction.levels[0]}, {then}"
        f"; corrected {_p_value(interaction.contrast)}"
    )


def remarks(
    rows: Sequence[Row], metric: Metric, noise_floor: float, test_examples: int
) -> list[str]:
    """What readers of a ranking should know in addition to its numbers.

    `noise_floor` is `Answer.noise_floor` of the best row.
    """
    lines = []
    if any(row.at_edge for row in rows):
        lines.append(
            "* chosen at the edge of the rates tried: a better one may lie outside "
            "(--extend-learning-rates)"
        )
    if noise_floor > 0:
        lines.append(
            f"independent errors on {test_examples} test examples alone would spread the best by "
            f"{metric.show(noise_floor)}"
        )
    return lines


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


def _tested(comparison: Comparison, metric: Metric) -> str:
    """A difference with its interval and corrected p-value."""
    return f"{_difference(comparison, metric)}, corrected {_p_value(comparison)}"


def _difference(comparison: Comparison, metric: Metric) -> str:
    """A difference with its interval."""
    return (
        f"{metric.show_difference(comparison.difference)} "
        f"{metric.show_interval(comparison.interval)}"
    )


def _p_value(comparison: Comparison) -> str:
    """The corrected p-value, to two digits."""
    p = comparison.corrected
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def _seeds_needed(comparison: Comparison) -> str:
    """How many seeds would show the difference, if that can be said."""
    if comparison.seeds_needed is None:
        return ""
    if comparison.seeds_needed > MANY:
        return f"; more than {MANY} would be needed for a difference this small"
    return f"; about {comparison.seeds_needed} would do"
