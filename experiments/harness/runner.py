"""The command line of a set of claims: measure, judge, print and write each."""

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.claim import Claim, Judged, judge, verdict
from harness.drawing import draw
from harness.found import Found
from jcnn import engine, strict_json
from jcnn.bench import hardware
from jcnn.data import DataError


@dataclass(frozen=True)
class Collection:
    """Claims by name; `words` say a verdict in the collection's own terms.

    `results` is the folder of their JSON and figures.
    """

    title: str
    claims: Mapping[str, Claim]
    words: Mapping[str, str]
    results: Path


def main(collection: Collection, document: Any) -> int:
    """Measure what was asked for; the exit code is 0 whatever the verdicts are.

    `document(collection)` writes what was found into the documents.
    """
    claims = collection.claims
    parser = argparse.ArgumentParser(description=collection.title)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(claims))
    parser.add_argument("--all", action="store_true", help="every one")
    parser.add_argument("--list", action="store_true", help="name them and measure nothing")
    parser.add_argument(
        "--smoke", action="store_true", help="what can be checked at initialization, quickly"
    )
    parser.add_argument(
        "--full", action="store_true", help="the paper's scale, where a claim has one"
    )
    parser.add_argument(
        "--docs",
        action="store_true",
        help="draw the results' figures anew, and write their tables into the documents",
    )
    parser.add_argument("--keep", type=Path, help="keep the studies' runs in this directory")
    parser.add_argument("--out", default=collection.results, type=Path, help="for JSON and figures")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.names if name not in claims]
    if unknown:
        parser.error(f"unknown claim {unknown[0]!r}; known: {', '.join(claims)}")
    if chosen.docs:
        for path in sorted(collection.results.glob("*.json")):
            criteria = json.loads(path.read_text())["criteria"]
            if criteria:
                draw(criteria, path.with_suffix(".svg"))
        document(collection)
        return 0
    if chosen.list or not (chosen.names or chosen.all or chosen.smoke):
        for claim in claims.values():
            print(f"{claim.name:24} {claim.source}")
        return 0
    engine.use_all_cores()
    chosen.out.mkdir(parents=True, exist_ok=True)
    told = []
    for claim in [claims[name] for name in chosen.names] or list(claims.values()):
        if chosen.smoke and claim.quick is None:
            continue
        changed = (claim.quick if chosen.smoke else claim.full if chosen.full else None) or {}
        told.append(_tried(collection, claim, {**claim.configuration, **changed}, chosen))
    counts = {word: sum(one["verdict"] == word for one in told) for word in collection.words}
    print(", ".join(f"{count} {collection.words[word]}" for word, count in counts.items()))
    if chosen.out != collection.results:  # where each claim's own file is all
        (chosen.out / "results.json").write_text(strict_json.dumps(told) + "\n")
    return 0


def _tried(
    collection: Collection, claim: Claim, configuration: dict[str, Any], chosen: argparse.Namespace
) -> dict[str, Any]:
    print(f"{claim.name}: {claim.statement}\n  {claim.source}\n  with {configuration}", flush=True)
    began = time.perf_counter()
    found = Found(None if chosen.keep is None else chosen.keep / claim.name)
    try:
        claim.measure(configuration, found)
    except DataError as error:
        found.notes.append(f"not tested: {error}")
    judged = judge(claim, found.figures)
    for one in judged:
        print(f"  {_line(one)}")
    for note in found.notes:
        print(f"  note: {note}")
    kind = verdict(judged)
    seconds = time.perf_counter() - began
    print(f"  {collection.words[kind]} in {seconds:.0f} s\n", flush=True)
    told = {
        "claim": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "configuration": configuration,
        "verdict": kind,
        "criteria": [asdict(one) | {"good": one.good} for one in judged],
        "notes": found.notes,
        "figures": found.figures,
        "seconds": seconds,
        "hardware": hardware(),
        "command": " ".join(["python", *sys.argv]),
    }
    (chosen.out / f"{claim.name}.json").write_text(strict_json.dumps(told) + "\n")
    if judged:
        draw(strict_json.plain(told["criteria"]), chosen.out / f"{claim.name}.svg")
    return told


def _line(one: Judged) -> str:
    spread = "" if math.isnan(one.interval.low) else " [{:.4g}, {:.4g}]".format(*one.interval)
    null = ""
    if not math.isnan(one.null):
        null = f"; null arm {one.null:.4g} {'fails' if one.null_fails else 'MEETS IT TOO'}"
    met = "met" if one.met else "MISSED"
    of = {"mean": "", "every": " in every seed", "interval": " by its whole interval"}[one.of]
    wanted = f"wanted {one.low:g} to {one.high:g}{of}"
    return f"{one.figure}: {one.mean:.4g}{spread}, {wanted}: {met}{null}"
