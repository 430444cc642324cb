"""A baseline found by its levels among a study's combinations."""

from collections.abc import Mapping, Sequence

from jcnn.errors import UsageError, nearest


def only_match(combinations: Sequence[Mapping[str, str]], levels: Mapping[str, str]) -> int:
    """The index of the one combination with these levels; UsageError where there is not one."""
    for factor in levels:
        if combinations and factor not in combinations[0]:
            raise nearest("factor", factor, tuple(combinations[0]))
    found = [
        index
        for index, combination in enumerate(combinations)
        if all(combination[factor] == level for factor, level in levels.items())
    ]
    if len(found) != 1:
        spelled = ",".join(f"{factor}={level}" for factor, level in levels.items())
        raise UsageError(
            f"baseline {spelled} fits {len(found)} combinations; expected one: give a level that "
            "the study has for each factor"
        )
    return found[0]
