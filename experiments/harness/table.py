"""Tables of results for the documents, from the JSON files that were written."""

import json
from pathlib import Path
from typing import Any

from harness.runner import Collection


def results(collection: Collection) -> list[dict[str, Any]]:
    """What is known of each claim; one that was never measured has verdict and no criteria."""
    found = []
    for name, claim in collection.claims.items():
        path = collection.results / f"{name}.json"
        told = json.loads(path.read_text()) if path.exists() else {}
        found.append(
            {"claim": name, "statement": claim.statement, "verdict": "NOT TESTED", "criteria": []}
            | told
        )
    return found


def every_figure(collection: Collection) -> list[str]:
    """A row a criterion."""
    lines = ["| claim | figure | measured | wanted | null arm | |", "|---|---|---|---|---|---|"]
    for told in results(collection):
        verdict = collection.words[told["verdict"]]
        for i, one in enumerate(told["criteria"]):
            null = "-" if one["null"] is None else _number(one["null"])
            missed = "missed" if not one["met"] else "" if one["null_fails"] else "null arm too"
            name, first = (f"`{told['claim']}`", f"**{verdict}** ") if i == 0 else ("", "")
            lines.append(
                f"| {name} | {one['figure']} | {measured(one)} | {wanted(one)} | {null} | "
                f"{first}{missed} |"
            )
        if not told["criteria"]:
            lines.append(f"| `{told['claim']}` | | | | | **{verdict}** |")
    return lines


def summary(collection: Collection) -> list[str]:
    """A row a claim: its statement, and how many of its figures are as published."""
    lines = ["| claim | | |", "|---|---|---|"]
    for told in results(collection):
        good, count = sum(one["good"] for one in told["criteria"]), len(told["criteria"])
        share = f", {good} of {count}" if good < count else ""
        verdict = f"{collection.words[told['verdict']]}{share}"
        lines.append(f"| `{told['claim']}` | {told['statement']} | **{verdict}** |")
    return lines


def measured(one: dict[str, Any]) -> str:
    """A figure with its interval."""
    low, high = one["interval"]["low"], one["interval"]["high"]
    spread = "" if low is None else f" [{_number(low)}, {_number(high)}]"
    return f"{_number(one['mean'])}{spread}"


def wanted(one: dict[str, Any]) -> str:
    """A criterion's bounds; a bound that is not finite is null in JSON."""
    low, high = one["low"], one["high"]
    if high is None:
        text = f"at least {low:.7g}"
    elif low is None:
        text = f"at most {high:.7g}"
    else:
        text = f"{low:.7g} to {high:.7g}"
    of = {"mean": "", "every": ", every seed", "interval": ", whole interval"}[one["of"]]
    return text + of


def put(document: Path, mark: str, lines: list[str]) -> None:
    """Put lines between `<!-- mark -->` and `<!-- end of mark -->` of a document."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    text = document.read_text()
    before, found, rest = text.partition(begin)
    _, also, after = rest.partition(end)
    if not (found and also):
        raise SystemExit(f"{document}: expected the marks {begin} and {end}")
    document.write_text(before + begin + "\n" + "\n".join(lines) + "\n" + end + after)


def _number(value: float | None) -> str:
    return "NaN" if value is None else f"{value:.4g}"
