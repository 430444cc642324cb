"""Published results, each put to the test with criterion and null arm fixed beforehand.

Command: python experiments/reproduce.py --all
Cost: 4 min on 2 CPU cores (jax 0.12), other work beside it; `--smoke` 2 min.
Result (docs/validation.md): glorot2010-init and brock2021-gains REPRODUCED; yang2019-bn-explosion
PARTIAL: gradients grow as published (1.215 a layer for relu), but a null arm fails to train too.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from claims import CLAIMS
from claims.claim import Claim, Judged, judge, verdict

from jcnn import engine, strict_json
from jcnn.bench import hardware

RESULTS = Path(__file__).parent / "results" / "claims"
DOCUMENT = Path(__file__).parents[1] / "docs" / "validation.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


def main() -> int:
    """Measure, judge, print and write; the exit code is 0 whatever the verdicts are."""
    parser = argparse.ArgumentParser(description="Published results, put to the test")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CLAIMS))
    parser.add_argument("--all", action="store_true", help="every one")
    parser.add_argument("--list", action="store_true", help="name them and measure nothing")
    parser.add_argument("--full", action="store_true", help="at the paper's scale")
    parser.add_argument(
        "--smoke", action="store_true", help="what can be checked at initialization, quickly"
    )
    parser.add_argument(
        "--docs", action="store_true", help="write the results' table into docs/validation.md"
    )
    parser.add_argument("--out", default=RESULTS, type=Path, help="where JSON and figures go")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.names if name not in CLAIMS]
    if unknown:
        parser.error(f"unknown claim {unknown[0]!r}; known: {', '.join(CLAIMS)}")
    if chosen.docs:
        _document(chosen.out)
        return 0
    if chosen.list or not (chosen.names or chosen.all or chosen.smoke):
        for claim in CLAIMS.values():
            print(f"{claim.name:24} {claim.source}")
        return 0
    engine.use_all_cores()
    chosen.out.mkdir(parents=True, exist_ok=True)
    picked = [CLAIMS[name] for name in chosen.names] or list(CLAIMS.values())
    told = []
    for claim in picked:
        if chosen.smoke and claim.quick is None:
            continue
        changed = (claim.quick if chosen.smoke else claim.full if chosen.full else {}) or {}
        told.append(_tried(claim, dict(claim.configuration) | dict(changed), chosen.out))
    reproduced = sum(one["verdict"] == "REPRODUCED" for one in told)
    print(f"{reproduced} of {len(told)} reproduced ({reproduced / len(told):.0%})")
    if chosen.out != RESULTS:  # where each claim's own file is all
        (chosen.out / "results.json").write_text(strict_json.dumps(told) + "\n")
    return 0


def _tried(claim: Claim, configuration: dict[str, Any], out: Path) -> dict[str, Any]:
    print(f"{claim.name}: {claim.statement}\n  {claim.source}\n  with {configuration}", flush=True)
    began = time.perf_counter()
    figures = claim.measure(configuration)
    judged = judge(claim, figures)
    for one in judged:
        print(f"  {_line(one)}")
    found = verdict(judged)
    seconds = time.perf_counter() - began
    print(f"  {found} in {seconds:.0f} s\n", flush=True)
    told = {
        "claim": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "configuration": configuration,
        "verdict": found,
        "criteria": [asdict(one) for one in judged],
        "figures": figures,
        "seconds": seconds,
        "hardware": hardware(),
        "command": " ".join(["python", *sys.argv]),
    }
    (out / f"{claim.name}.json").write_text(strict_json.dumps(told) + "\n")
    _draw(judged, out / f"{claim.name}.svg")
    return told


def _document(folder: Path) -> None:
    """Put the results' table between the marks in the document."""
    lines = ["| claim | figure | measured | wanted | null arm | |", "|---|---|---|---|---|---|"]
    for name in CLAIMS:
        path = folder / f"{name}.json"
        if not path.exists():
            lines.append(f"| {name} | | | | | NOT TESTED |")
            continue
        told = json.loads(path.read_text())
        for i, one in enumerate(told["criteria"]):
            low, high = one["interval"]["low"], one["interval"]["high"]
            spread = "" if low is None else f" [{low:.4g}, {high:.4g}]"
            null = "-" if one["null"] is None else f"{one['null']:.3g}"
            lines.append(
                f"| {name if i == 0 else ''} | {one['figure']} | {one['mean']:.4g}{spread} | "
                f"{one['low']:g} to {one['high']:g} | {null} | "
                f"{told['verdict'] if i == 0 else '' if one['met'] else 'missed'} |"
            )
    document = DOCUMENT.read_text()
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}")


def _line(one: Judged) -> str:
    spread = "" if math.isnan(one.interval.low) else " [{:.4g}, {:.4g}]".format(*one.interval)
    null = ""
    if not math.isnan(one.null):
        null = f"; null arm {one.null:.4g} {'fails' if one.null_fails else 'MEETS IT TOO'}"
    met = "met" if one.met else "MISSED"
    return f"{one.figure}: {one.mean:.4g}{spread}, wanted {one.low:g} to {one.high:g}: {met}{null}"


def _draw(judged: list[Judged], path: Path) -> None:
    """A line a criterion: the band that was wanted, what was measured, and the null arm."""
    from jcnn.report.style import BLUE, FAINT, ORANGE, axes_of, figure, save, text

    fig = figure(0.75 * max(len(judged), 1) + 0.2, width=6.0)
    for axes, one in zip(axes_of(fig, max(len(judged), 1))[:, 0], judged, strict=False):
        axes.axvspan(one.low, one.high, color=FAINT, linewidth=0)
        if not math.isnan(one.interval.low):
            axes.plot(one.interval, [0, 0], color=BLUE, linewidth=2)
        axes.plot(one.mean, 0, "o", color=BLUE)
        # A null arm far off would leave nothing to see of the band: it stands at the border.
        margin = 1.5 * (one.high - one.low)
        low, high = min(one.low, one.mean) - margin, max(one.high, one.mean) + margin
        if not math.isnan(one.null):
            axes.plot(min(max(one.null, low), high), 0, "x", color=ORANGE, clip_on=False)
        axes.set(xlim=(low, high), ylim=(-1, 1), yticks=[])
        axes.spines["left"].set_visible(False)
        text(axes, 0, 1.02, f"{one.figure} (null: {one.null:.3g})" if not math.isnan(one.null)
             else one.figure, transform=axes.transAxes)  # fmt: skip
    save(fig, path)


if __name__ == "__main__":
    raise SystemExit(main())
