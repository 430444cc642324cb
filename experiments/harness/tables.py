"""Markdown tables for the documentation, from the committed JSON results."""

import json
from pathlib import Path
from typing import Any

from harness.command_line import Collection


def load_results(collection: Collection) -> list[dict[str, Any]]:
    """Load the result of each claim; a claim without a file is NOT TESTED and has no criteria."""
    results = []
    for name, claim in collection.claims.items():
        path = collection.results / f"{name}.json"
        content = json.loads(path.read_text()) if path.exists() else {}
        default = {
            "claim": name,
            "statement": claim.statement,
            "verdict": "NOT TESTED",
            "criteria": [],
        }
        results.append(default | content)
    return results


def criteria_table(collection: Collection) -> list[str]:
    """Return a table with one row per criterion."""
    lines = ["| claim | figure | measured | wanted | null arm | |", "|---|---|---|---|---|---|"]
    for result in load_results(collection):
        verdict = collection.words[result["verdict"]]
        for i, criterion in enumerate(result["criteria"]):
            null = "-" if criterion["null"] is None else _number(criterion["null"])
            name, first = (f"`{result['claim']}`", f"**{verdict}** ") if i == 0 else ("", "")
            lines.append(
                f"| {name} | {criterion['figure']} | {measured(criterion)} | {bounds(criterion)} | "
                f"{null} | {first}{_shortfall(criterion)} |"
            )
        if not result["criteria"]:
            lines.append(f"| `{result['claim']}` | | | | | **{verdict}** |")
    return lines


def claims_table(collection: Collection) -> list[str]:
    """Return a table with one row per claim: its statement, verdict and count of good criteria."""
    lines = ["| claim | | |", "|---|---|---|"]
    for result in load_results(collection):
        criteria = result["criteria"]
        good = sum(criterion["good"] for criterion in criteria)
        share = f", {good} of {len(criteria)}" if good < len(criteria) else ""
        verdict = f"{collection.words[result['verdict']]}{share}"
        lines.append(f"| `{result['claim']}` | {result['statement']} | **{verdict}** |")
    return lines


def measured(criterion: dict[str, Any]) -> str:
    """Format the mean of a criterion's figure with its confidence interval."""
    low, high = criterion["interval"]["low"], criterion["interval"]["high"]
    interval = "" if low is None else f" [{_number(low)}, {_number(high)}]"
    return f"{_number(criterion['mean'])}{interval}"


def bounds(criterion: dict[str, Any]) -> str:
    """Format the bounds of a criterion; an infinite bound is null in JSON."""
    low, high = criterion["low"], criterion["high"]
    if high is None:
        text = f"at least {low:.7g}"
    elif low is None:
        text = f"at most {high:.7g}"
    else:
        text = f"{low:.7g} to {high:.7g}"
    suffix = {"mean": "", "every": ", every seed", "interval": ", whole interval"}
    return text + suffix[criterion["of"]]


def write_between_marks(document: Path, mark: str, lines: list[str]) -> None:
    """Replace the lines between `<!-- mark -->` and `<!-- end of mark -->` of a document."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    text = document.read_text()
    before, begin_mark, rest = text.partition(begin)
    _, end_mark, after = rest.partition(end)
    if not (begin_mark and end_mark):
        raise SystemExit(f"{document}: expected the marks {begin} and {end}")
    document.write_text(before + begin + "\n" + "\n".join(lines) + "\n" + end + after)


def _shortfall(criterion: dict[str, Any]) -> str:
    if not criterion["met"]:
        return "missed"
    return "" if criterion["null_fails"] else "null arm too"


def _number(value: float | None) -> str:
    return "NaN" if value is None else f"{value:.4g}"
