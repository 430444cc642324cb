"""The effect of a factor as a sentence: where it matters first, then how much on average."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from jcnn.analysis.conditions import conditions
from jcnn.analysis.effects import Effect, LevelEffect
from jcnn.analysis.gains import Gain, Interaction
from jcnn.analysis.labels import given, join_names
from jcnn.analysis.metric import Metric

# An interval this many times as wide as the median one makes a setting uncertain.
_UNUSUAL = 3.0


def effect_sentence(
    effect: Effect, interactions: Sequence[Interaction], recommended: str, metric: Metric
) -> str:
    """What the levels of a factor gain over each other, and where.

    `interactions` are those of the study that are more than chance; `recommended` is the level of
    the combination that came first.
    """
    factor, trained = effect.factor, effect.trained
    if len(trained) < 2:
        return f"{factor}: only {join_names(trained)} has finished runs." if trained else ""
    parts = _compared(effect, interactions, recommended, metric)
    if effect.lost:
        parts.append(f"seeds of {join_names(effect.lost)} diverged")
    if effect.untrained:
        parts.append(f"{join_names(effect.untrained)} has no finished runs")
    return f"{factor}: {'; '.join(parts)}."


def interaction_sentence(interaction: Interaction, metric: Metric) -> str:
    """An interaction as a sentence."""
    first, second = interaction.gains
    other = interaction.levels[1]
    then = f"by {_size(second, metric)} with {other}"
    if second.interval.low <= 0 <= second.interval.high:
        then = f"not with {other} ({_size(second, metric)})"
    elif second.difference < 0:
        then = f"and is behind with {other} ({_size(second, metric)})"
    return (
        f"{interaction.factor} x {interaction.other}: {interaction.better} beats "
        f"{interaction.worse} by {_size(first, metric)} with {interaction.levels[0]}, {then}."
    )


def _compared(
    effect: Effect, interactions: Sequence[Interaction], recommended: str, metric: Metric
) -> list[str]:
    if not effect.levels:
        return ["too little was trained to compare its levels"]
    best, *others = effect.levels
    gains = [(level, level.gain) for level in others if level.gain is not None]
    if any(math.isnan(gain.p) for _, gain in gains) or not gains:
        behind = [
            f"{level.name} by {metric.show_difference(abs(best.mean - level.mean))}"
            for level in others
        ]
        return [f"{best.name} came first, ahead of {join_names(behind)}, on too few seeds to judge"]
    if effect.modelled:
        return [_modelled(best, level, gain, metric) for level, gain in gains]
    parts = []
    if recommended != best.name and any(
        level.name == recommended and gain.real for level, gain in gains
    ):
        parts.append(f"{best.name} is the best on average, unlike the recommended {recommended}")
    apart = [
        level
        for level, _ in gains
        if _depends(effect.factor, best, level, interactions) or _uncertain(level)
    ]
    for level in apart:
        parts += _where(best.name, level, metric)
    together = [(level, gain) for level, gain in gains if level not in apart]
    beaten = [f"{level.name} by {_size(gain, metric)}" for level, gain in together if gain.real]
    if beaten:
        parts.append(f"{best.name} beats {join_names(beaten)}")
    parts += [
        f"{best.name} and {level.name} are within {metric.show_bound(gain.most)} of each other"
        + (" on average" if len(level.where) > 1 else "")
        for level, gain in together
        if not gain.real
    ]
    return parts


def _modelled(best: LevelEffect, level: LevelEffect, gain: Gain, metric: Metric) -> str:
    if gain.real:
        return f"{best.name} beats {level.name} by {_size(gain, metric)}"
    return f"{best.name} is ahead of {level.name} by {_size(gain, metric)}, which may be chance"


def _depends(
    factor: str, best: LevelEffect, level: LevelEffect, interactions: Sequence[Interaction]
) -> bool:
    """Whether the gain of the best level over this one depends on another factor's level."""
    pair = {best.name, level.name}
    return any(
        (each.factor == factor and {each.better, each.worse} == pair)
        or (each.other == factor and set(each.levels) == pair)
        for each in interactions
    )


def _uncertain(level: LevelEffect) -> list[Gain]:
    """The settings in which the gain is known so much worse than in the others that it hides them.

    Seeds that fail to train make such settings, as sigmoid without normalization does.
    """
    if len(level.where) < 2:
        return []
    usual = float(np.median([gain.interval.high - gain.interval.low for gain in level.where]))
    return [
        gain
        for gain in level.where
        if not gain.real and gain.interval.high - gain.interval.low > _UNUSUAL * usual
    ]


def _where(best: str, level: LevelEffect, metric: Metric) -> list[str]:
    """In which settings the best level gains over this one, and in which it loses."""
    uncertain = _uncertain(level)
    close = [gain for gain in level.where if not gain.real and gain not in uncertain]
    ahead = [gain for gain in level.where if gain.real and gain.difference > 0]
    behind = [gain.turned() for gain in level.where if gain.real and gain.difference < 0]
    parts = [
        f"{first} beats {second} {_sizes(gains, level.where, metric)}"
        for first, second, gains in ((best, level.name, ahead), (level.name, best, behind))
        if gains
    ]
    for gain in uncertain:
        oriented = gain if gain.difference > 0 else gain.turned()
        parts.append(
            f"{oriented.better} was ahead of {oriented.worse} by {_size(oriented, metric)} where "
            f"{given(gain.given)}, where seeds differ too much to be sure"
        )
    if close:
        most = metric.show_bound(max(gain.most for gain in close))
        place = "elsewhere" if parts else "in every setting"
        parts.append(f"{best} and {level.name} are within {most} of each other {place}")
    if ahead and behind and level.gain is not None and level.gain.real:
        parts[-1] += f"; on average {best} is ahead by {_size(level.gain, metric)}"
    return parts


def _sizes(gains: Sequence[Gain], every: Sequence[Gain], metric: Metric) -> str:
    """By how much, and where: a condition that exactly these settings satisfy, or their number."""
    settings: list[Mapping[str, str]] = [gain.given for gain in every]
    mine = [gain.given for gain in gains]
    largest = max(gains, key=lambda gain: gain.difference)
    if len(gains) == 1:
        return f"by {_size(largest, metric)} where {given(largest.given)}"
    smallest = min(gain.difference for gain in gains)
    size = f"by {metric.show_difference(smallest)} to {metric.show_difference(largest.difference)}"
    if len(gains) == len(every):
        return f"{size} in every setting, most where {given(largest.given)}"
    found = conditions([i for i, each in enumerate(settings) if each in mine], settings)
    if len(found) == 1:
        return f"{size} where {given(found[0].levels)}"
    return f"{size} in {len(gains)} of {len(every)} settings, most where {given(largest.given)}"


def _size(gain: Gain, metric: Metric) -> str:
    """A difference with its interval."""
    return f"{metric.show_difference(gain.difference)} {metric.show_interval(gain.interval)}"
