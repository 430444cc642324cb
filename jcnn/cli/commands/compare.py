"""`jcnn compare`: train every combination and rank them."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn.cli.dry_run import describe_runs, print_plan
from jcnn.cli.formatting import count
from jcnn.cli.output_arguments import add_output_arguments
from jcnn.cli.print_result import print_failures, print_result
from jcnn.cli.progress import run_with_progress
from jcnn.cli.study_arguments import (
    BASELINE_HELP,
    COST_HELP,
    COSTS,
    METRIC_HELP,
    add_study_arguments,
    parse_levels,
    study_file,
    study_keywords,
)
from jcnn.cli.tables import console
from jcnn.cli.write_report import update_report
from jcnn.errors import UsageError
from jcnn.interruption import on_interruption

if TYPE_CHECKING:
    from jcnn.study import Study


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="train combinations over seeds and learning rates, and say which to use",
        description="Train combinations of the factors' values over paired seeds and learning "
        "rates. Rates that are behind are dropped, and combinations that are ruled out get no more "
        "seeds. Without arguments: activation x kernel_init x normalization on digits, at most 300 "
        "runs.",
    )
    add_study_arguments(parser)
    parser.add_argument("--baseline", metavar="FACTOR=LEVEL,...", help=BASELINE_HELP)
    parser.add_argument(
        "--out",
        help="the directory that keeps the runs; runs that are already there are not trained again "
        "(default: runs/DATA-MODEL, or runs/NAME for a study file NAME.toml)",
    )
    parser.add_argument("--metric", metavar="METRIC", help=METRIC_HELP)
    parser.add_argument("--cost", choices=COSTS, help=COST_HELP)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the plan (runs, compilations, estimated time and memory) and train nothing",
    )
    parser.add_argument("--no-report", action="store_true", help="do not write report.html")
    add_output_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Run the study that the file and the options describe."""
    keywords = study_keywords(chosen)

    from jcnn import engine
    from jcnn.data.fetch import cache_dir

    engine.use_all_cores()
    engine.enable_compilation_cache(cache_dir() / "compiled")
    from jcnn.study import Study

    study = Study(**keywords)
    levels = [combination.names() for combination in study.combinations]
    baseline = parse_levels(chosen.baseline, levels)
    if chosen.out == "":
        raise UsageError("--out is empty; name a directory")
    out = Path(chosen.out) if chosen.out else _default_directory(chosen.study, study)
    quiet = chosen.quiet or chosen.json
    if chosen.dry_run:
        return print_plan(study, out, as_json=chosen.json)
    if not quiet:
        console().print(describe_runs(study))
        sys.stdout.flush()
    with on_interruption(lambda: f"jcnn compare: interrupted; {_finished(out)}"):
        result = run_with_progress(study, out, chosen.metric, quiet)
    if chosen.json:
        print(result.to_json())
    else:
        print_result(result, out, baseline, chosen.cost)
    print_failures(result)
    if not chosen.no_report:
        page = update_report(study, result, out)
        if not quiet:
            print(f"report: {page}")
    return 1 if result.failures else 0


def _finished(out: Path) -> str:
    """Say how many runs have finished and how to continue."""
    from jcnn.study.storage.ledger import NAME, Ledger

    if not (out / NAME).exists():
        return "no run has finished"
    finished = len(Ledger(out, read_only=True).runs())
    return (
        f"{count(finished, 'finished run')} kept in {out}; run the same command again to continue"
    )


def _default_directory(path: str | None, study: "Study") -> Path:
    """Return the directory of a study without --out, always the same so that it can continue."""
    from jcnn.study.storage.ledger import NAME

    file = None if path is None else study_file(path)
    if file is not None and (Path(path or "").is_dir() or (file.parent / NAME).exists()):
        return file.parent
    if file is not None and file.stem != "study":
        return Path("runs") / file.stem
    described = study.describe()
    return Path("runs") / f"{Path(described['data']).stem}-{described['model'].replace(':', '.')}"
