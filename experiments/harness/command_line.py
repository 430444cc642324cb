"""The command line of a collection of claims: measure, evaluate, print and save each."""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.claim import Claim, CriterionResult, evaluate, verdict
from harness.measurements import Measurements
from harness.plots import plot_criteria
from jcnn import engine, strict_json
from jcnn.bench import hardware
from jcnn.data import DataError


@dataclass(frozen=True)
class Collection:
    """Claims by name; `words` maps each verdict to the collection's own wording.

    `results` is the folder of their JSON files and plots.
    """

    title: str
    claims: Mapping[str, Claim]
    words: Mapping[str, str]
    results: Path


def main(collection: Collection, document: Callable[[Collection], None]) -> int:
    """Run the command line and return its exit code, which is 0 for every verdict.

    `document(collection)` writes the tables of results into the documentation.
    """
    claims = collection.claims
    parser = _parser(collection)
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in claims]
    if unknown:
        parser.error(f"unknown claim {unknown[0]!r}; known: {', '.join(claims)}")
    if arguments.docs:
        _plot_results(collection.results)
        document(collection)
        return 0
    if arguments.list or not (arguments.names or arguments.all or arguments.smoke):
        for claim in claims.values():
            print(f"{claim.name:24} {claim.source}")
        return 0
    engine.use_all_cores()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = []
    for claim in [claims[name] for name in arguments.names] or list(claims.values()):
        if arguments.smoke and claim.quick is None:
            continue
        changes = claim.quick if arguments.smoke else claim.full if arguments.full else None
        configuration = {**claim.configuration, **(changes or {})}
        results.append(_test_claim(collection, claim, configuration, arguments))
    counts = {word: sum(r["verdict"] == word for r in results) for word in collection.words}
    print(", ".join(f"{count} {collection.words[word]}" for word, count in counts.items()))
    if arguments.out != collection.results:  # the committed folder has one file per claim only
        (arguments.out / "results.json").write_text(strict_json.dumps(results) + "\n")
    return 0


def _parser(collection: Collection) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=collection.title)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(collection.claims))
    parser.add_argument("--all", action="store_true", help="test every claim")
    parser.add_argument("--list", action="store_true", help="list the claims and test none")
    parser.add_argument(
        "--smoke", action="store_true", help="test only what can be checked at initialization"
    )
    parser.add_argument(
        "--full", action="store_true", help="run at the paper's scale, if the claim defines it"
    )
    parser.add_argument(
        "--docs",
        action="store_true",
        help="redraw the plots of the saved results and rewrite their tables in the documentation",
    )
    parser.add_argument("--keep", type=Path, help="save the studies' runs in this directory")
    parser.add_argument(
        "--out", default=collection.results, type=Path, help="directory for JSON files and plots"
    )
    return parser


def _plot_results(folder: Path) -> None:
    for path in sorted(folder.glob("*.json")):
        criteria = json.loads(path.read_text())["criteria"]
        if criteria:
            plot_criteria(criteria, path.with_suffix(".svg"))


def _test_claim(
    collection: Collection,
    claim: Claim,
    configuration: dict[str, Any],
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    print(f"{claim.name}: {claim.statement}\n  {claim.source}\n  with {configuration}", flush=True)
    start = time.perf_counter()
    measurements = Measurements(None if arguments.keep is None else arguments.keep / claim.name)
    try:
        claim.measure(configuration, measurements)
    except DataError as error:
        measurements.notes.append(f"not tested: {error}")
    criteria = evaluate(claim, measurements.figures)
    for criterion in criteria:
        print(f"  {_describe(criterion)}")
    for note in measurements.notes:
        print(f"  note: {note}")
    word = verdict(criteria)
    seconds = time.perf_counter() - start
    print(f"  {collection.words[word]} in {seconds:.0f} s\n", flush=True)
    result = {
        "claim": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "configuration": configuration,
        "verdict": word,
        "criteria": [asdict(criterion) | {"good": criterion.good} for criterion in criteria],
        "notes": measurements.notes,
        "figures": measurements.figures,
        "seconds": seconds,
        "hardware": hardware(),
        "command": " ".join(["python", *sys.argv]),
    }
    (arguments.out / f"{claim.name}.json").write_text(strict_json.dumps(result) + "\n")
    if criteria:
        plot_criteria(strict_json.plain(result["criteria"]), arguments.out / f"{claim.name}.svg")
    return result


def _describe(criterion: CriterionResult) -> str:
    low, high = criterion.interval
    interval = "" if math.isnan(low) else f" [{low:.4g}, {high:.4g}]"
    null = ""
    if not math.isnan(criterion.null):
        outcome = "fails" if criterion.null_fails else "MEETS IT TOO"
        null = f"; null arm {criterion.null:.4g} {outcome}"
    suffix = {"mean": "", "every": " in every seed", "interval": " for the whole interval"}
    wanted = f"wanted {criterion.low:g} to {criterion.high:g}{suffix[criterion.of]}"
    met = "met" if criterion.met else "MISSED"
    return f"{criterion.figure}: {criterion.mean:.4g}{interval}, {wanted}: {met}{null}"
