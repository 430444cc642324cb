"""A baseline, identified among a study's combinations by its levels."""

from collections.abc import Mapping, Sequence

from jcnn.errors import UsageError, nearest


def match_baseline(combinations: Sequence[Mapping[str, str]], levels: Mapping[str, str]) -> int:
    """The index of the combination that has these levels.

    Raises UsageError if a factor is unknown, or if not exactly one combination has the levels.
    """
    for factor in levels:
        if combinations and factor not in combinations[0]:
            raise nearest("factor", factor, tuple(combinations[0]))
    matches = [
        index
        for index, combination in enumerate(combinations)
        if all(combination[factor] == level for factor, level in levels.items())
    ]
    if len(matches) != 1:
        baseline = ",".join(f"{factor}={level}" for factor, level in levels.items())
        raise UsageError(
            f"baseline {baseline} matches {len(matches)} combinations; expected exactly one: give "
            "a level that the study has for each factor"
        )
    return matches[0]
