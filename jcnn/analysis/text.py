"""A study's answer in plain sentences: the best combination, and each factor's levels."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jcnn.analysis.statistics import Comparison, compare

if TYPE_CHECKING:
    from jcnn.analysis.result import Result, Row
    from jcnn.diagnosis import StepDiagnosis

# More seeds than this are not worth naming.
MANY = 1000


def verdict(result: "Result") -> str:
    """Which combination is best, and which cannot be told from it."""
    rows = result.ranking()
    if len(rows) < 2 or not math.isfinite(rows[0].mean):
        return ""
    best = spelled(rows[0])
    against = list(zip(rows[1:], result.comparisons(), strict=True))
    judged = [(row, one) for row, one in against if math.isfinite(one.p)]
    if not judged:
        return (
            f"{best} came first, but one seed cannot tell it from the rest: give at least two "
            "(--seeds)"
        )
    unclear = [(row, one) for row, one in judged if not one.real]
    equal = [spelled(row) for row, one in judged if one.equal]
    unclear = [(row, one) for row, one in unclear if not one.equal]
    ahead = len(judged) - len(unclear) - len(equal)
    others = f"; ahead of the other {ahead}" if ahead else ""
    same = f"{listed([best, *equal])} do equally well on every seed" if equal else ""
    if equal and not unclear:
        return same + others
    if not unclear:
        row, one = judged[0]
        return (
            f"{best} is best: ahead of every other combination, of the next ({spelled(row)}) by "
            f"{amount(result, one)}"
        )
    sentence = (
        f"not enough seeds to tell {best} from {listed([spelled(row) for row, _ in unclear])}"
        f" (from the next by {amount(result, unclear[0][1])}){would_do(unclear[0][1])}"
    )
    return sentence + others + (f"; {same}" if same else "")


def untested(result: "Result") -> str:
    """Which combination came first by a measure that cannot be tested."""
    rows = result.ranking()
    if len(rows) < 2 or not math.isfinite(rows[0].mean):
        return ""
    return (
        f"{spelled(rows[0])} came first; time is measured for groups of runs together, so "
        "differences are not tested"
    )


def effect(result: "Result", factor: str, rows: Sequence["Row"]) -> str:
    """A factor's levels, averaged over the settings of the other factors that all levels share."""
    every = list(dict.fromkeys(levels[factor] for levels in result.combinations))
    trained = {row.levels[factor] for row in rows}
    names, failed = ([n for n in every if (n in trained) is ran] for ran in (True, False))
    if len(names) < 2:
        return f"{factor}: only {listed(names)} could be trained" if names else ""
    seeds = level_values(result, factor, rows)
    if not seeds:
        return f"{factor}: every setting has a level that diverged, so levels are not compared"
    means = {name: _finite_mean(values) for name, values in seeds.items()}
    best, *others = sorted(names, key=lambda name: result.measure.badness(means[name]))
    sign = 1 if result.measure.higher_is_better else -1
    # The best was found by looking, so the correction counts all pairs of levels.
    family = len(names) * (len(names) - 1) // 2
    pairs = [((sign * seeds[best]).tolist(), (sign * seeds[name]).tolist()) for name in others]
    found = dict(zip(others, compare(pairs, family=family), strict=True))
    real = [f"{name} by {amount(result, found[name])}" for name in others if found[name].real]
    equal = [name for name in others if found[name].equal]
    unclear = [name for name in others if not (found[name].real or found[name].equal)]
    parts = [f"{best} beats {listed(real)}"] if real else []
    if equal:
        parts.append(f"{listed([best, *equal])} do equally well on every seed")
    if unclear and math.isfinite(found[unclear[0]].p):
        parts.append(
            f"not enough seeds to tell {best} from {listed(unclear)} "
            f"({amount(result, found[unclear[0]])}){would_do(found[unclear[0]])}"
        )
    elif unclear:
        gap = result.measure.gap(abs(means[best] - means[unclear[0]]))
        parts.append(f"{best} came first, {listed(unclear)} behind ({gap}), on one seed")
    if failed:
        parts.append(f"{listed(failed)} could not be trained")
    return f"{factor}: {'; '.join(parts)}"


def level_values(result: "Result", factor: str, rows: Sequence["Row"]) -> dict[str, np.ndarray]:
    """Each level's values by seed, averaged over the settings that all levels share.

    Levels of which nothing was trained are left out; empty where no setting has all the others.
    """
    every = dict.fromkeys(levels[factor] for levels in result.combinations)
    names = [name for name in every if any(row.levels[factor] == name for row in rows)]
    table: dict[str, dict[tuple[str, ...], Sequence[float]]] = {
        name: {
            tuple(v for k, v in row.levels.items() if k != factor): row.values
            for row in rows
            if row.levels[factor] == name and math.isfinite(row.mean)
        }
        for name in names
    }
    if not table:
        return {}
    shared = sorted(set.intersection(*(set(found) for found in table.values())))
    if not shared:
        return {}
    return {name: np.mean([table[name][s] for s in shared], axis=0) for name in names}


def apart_from_best(result: "Result") -> set[int]:
    """The combinations that the corrected tests tell from the best one."""
    if not result.measure.tested:
        return set()
    pairs = zip(result.ranking()[1:], result.comparisons(), strict=True)
    return {row.combination for row, one in pairs if one.real}


def remarks(result: "Result", rows: Sequence["Row"]) -> list[str]:
    """What is to be known of a ranking beside its numbers."""
    found = []
    if any(row.at_edge for row in rows):
        found.append(
            "* chosen at the edge of the rates tried: a better one may lie outside "
            "(--extend-learning-rates)"
        )
    floor = result.noise_floor(rows[0]) if rows else 0.0
    if floor > 0:
        found.append(
            f"independent errors on {result.test_examples} test examples alone would spread the "
            f"best by {result.measure.show(floor)}"
        )
    return found


def why_cells(why: Sequence["StepDiagnosis"]) -> list[str]:
    """Return the gradient ratio, saturated, dead, and what is wrong, at the first and last step."""
    first, last = why[0], why[-1]
    return [
        _both(f"{first.gradient_ratio:.2g}", f"{last.gradient_ratio:.2g}"),
        _both(share(first.saturated), share(last.saturated)),
        _both(share(first.dead), share(last.dead)),
        _both(first.verdict, last.verdict),
    ]


def _both(first: str, last: str) -> str:
    return first if first == last else f"{first} > {last}"


def share(value: float) -> str:
    """A share of units or elements; nothing where there is no such thing."""
    return "" if math.isnan(value) else f"{value:.0%}"


def spelled(row: "Row") -> str:
    """A combination by its levels."""
    return " ".join(row.levels.values()) or "the only combination"


def amount(result: "Result", one: Comparison) -> str:
    """A difference with its interval and corrected p-value."""
    return f"{bounded(result, one)}, corrected {p_value(one)}"


def bounded(result: "Result", one: Comparison) -> str:
    """A difference with its interval."""
    return f"{result.measure.gap(one.difference)} {result.measure.show_interval(one.interval)}"


def p_value(one: Comparison) -> str:
    """The corrected p-value, to two digits."""
    return f"p = {one.corrected:.2g}" if one.corrected >= 0.001 else "p < 0.001"


def would_do(one: Comparison) -> str:
    """How many seeds would show the difference, where that can be said."""
    if one.seeds_needed is None:
        return ""
    if one.seeds_needed > MANY:
        return f"; more than {MANY} would be needed for a difference this small"
    return f"; about {one.seeds_needed} would do"


def listed(names: Sequence[str], most: int = 4) -> str:
    """`a, b and c`; what is beyond `most` is counted."""
    shown = list(names[:most])
    rest = len(names) - len(shown)
    if rest:
        shown.append(f"{rest} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _finite_mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan
