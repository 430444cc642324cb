"""`jcnn runs`: list, show, compare and export the directories of studies."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn import strict_json
from jcnn.cli.formatting import count
from jcnn.cli.output_arguments import add_output_arguments
from jcnn.cli.print_result import print_failures, print_result
from jcnn.cli.study_arguments import BASELINE_HELP, COST_HELP, COSTS, METRIC_HELP, parse_levels
from jcnn.cli.tables import Column, console, table
from jcnn.errors import UsageError

if TYPE_CHECKING:
    from jcnn.study import Result

# Files that a study writes itself, which exporting must not replace.
RESULTS = ("results.json", "environment.json")


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "runs",
        help="list, show, compare and export the directories of studies",
        description="Read the directories of studies. Nothing is trained.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the studies under a directory")
    listing.add_argument("under", nargs="?", default="runs", help="where to look (default: runs)")
    add_output_arguments(listing)
    listing.set_defaults(run=_list)
    showing = actions.add_parser("show", help="show a study's result again")
    showing.add_argument("directory", help="the study's directory")
    showing.add_argument("--metric", metavar="METRIC", help=METRIC_HELP)
    showing.add_argument("--cost", choices=COSTS, help=COST_HELP)
    showing.add_argument("--baseline", metavar="FACTOR=LEVEL,...", help=BASELINE_HELP)
    showing.add_argument(
        "--heat-map",
        metavar="FILE",
        help="plot the layers over the training, for a study with --diagnose (default: no plot)",
    )
    showing.add_argument(
        "--of",
        metavar="FACTOR=LEVEL,...",
        help="the combination that --heat-map plots (default: the best)",
    )
    add_output_arguments(showing)
    showing.set_defaults(run=_show)
    differing = actions.add_parser(
        "diff", help="compare two studies: settings, versions, and results beyond noise"
    )
    differing.add_argument("first", help="a study's directory")
    differing.add_argument("second", help="another study's directory")
    add_output_arguments(differing)
    differing.set_defaults(run=_diff)
    exporting = actions.add_parser(
        "export", help="write all runs of a study as a table, or to an experiment tracker"
    )
    exporting.add_argument("directory", help="the study's directory")
    exporting.add_argument(
        "file", nargs="?", help="the file to write: .csv, .json or .parquet (default: none)"
    )
    exporting.add_argument(
        "--to",
        metavar="TRACKER",
        help="wandb:PROJECT, mlflow:URI or tensorboard:FOLDER (default: a file)",
    )
    add_output_arguments(exporting)
    exporting.set_defaults(run=_export)


def _list(chosen: argparse.Namespace) -> int:
    from jcnn.study.storage.ledger import NAME
    from jcnn.study.storage.load import summary

    under = Path(chosen.under)
    if not under.is_dir() and chosen.under != "runs":
        raise UsageError(f"{under} is not a directory")
    studies = [summary(path.parent) for path in sorted(under.glob(f"**/{NAME}"))]
    if chosen.json:
        print(strict_json.dumps(studies))
        return 0
    terminal = console()
    if not studies:
        terminal.print(f"there are no studies under {under}; `jcnn compare` creates one")
        return 0
    columns = [
        Column("directory", [str(each["directory"]) for each in studies]),
        Column("data", [str(each["study"].get("data", "")) for each in studies]),
        Column("model", [str(each["study"].get("model", "")) for each in studies]),
        Column("runs", [str(each["runs"]) for each in studies], numeric=True),
        Column("best", [_best(each) for each in studies]),
    ]
    terminal.print(table(columns, terminal.width))
    return 0


def _best(study: dict[str, Any]) -> str:
    from jcnn.analysis.labels import label

    if "best" not in study:
        return str(study["state"])
    return f"{study['shown']} {label(study['best'])}"


def _show(chosen: argparse.Namespace) -> int:
    from jcnn.study.storage.load import read_result

    result = read_result(Path(chosen.directory))
    if chosen.metric is not None:
        result = result.by(chosen.metric)
    baseline = parse_levels(chosen.baseline, result.combinations)
    if chosen.heat_map:
        _plot_layers(result, chosen.of, Path(chosen.heat_map))
    if chosen.json:
        print(result.to_json())
    else:
        print_result(result, Path(chosen.directory), baseline, chosen.cost)
    print_failures(result)
    return 0


def _plot_layers(result: "Result", of: str | None, path: Path) -> None:
    from jcnn.analysis.labels import label
    from jcnn.report import plot_layers, save

    levels = parse_levels(of, result.combinations) or {}
    row = next(row for row in result.ranking() if levels.items() <= row.levels.items())
    history = result.history(row)
    if history is None:
        raise UsageError("its layers were not measured; train the study with --diagnose")
    title = f"{label(row.levels)}, learning rate {row.learning_rate:g}"
    save(plot_layers(history, title), path)


def _diff(chosen: argparse.Namespace) -> int:
    from jcnn.analysis.diff import difference
    from jcnn.analysis.labels import label
    from jcnn.analysis.spread import FEWEST_SEEDS
    from jcnn.study.storage.load import read_result

    first, second = (read_result(Path(place)) for place in (chosen.first, chosen.second))
    change = difference(first, second)
    if chosen.json:
        pairs = [shift._asdict() | {"real": shift.real} for shift in change.moved]
        print(strict_json.dumps(change._asdict() | {"moved": pairs}))
        return 0
    terminal = console()
    shown = first.metric
    for kind, differing in (("setting", change.settings), ("version", change.versions)):
        for name, (a, b) in differing.items():
            terminal.print(f"{kind} {name}: {_value(a)} -> {_value(b)}")
    for place, only in ((chosen.first, change.only_first), (chosen.second, change.only_second)):
        for levels in only:
            terminal.print(f"only in {place}: {label(levels)}")
    if not change.moved:
        terminal.print("no combination is in both")
        return 0
    moved = [shift for shift in change.moved if shift.real]
    for shift in moved:
        terminal.print(
            f"moved: {label(shift.levels)}: {shown.show(shift.first)} -> "
            f"{shown.show(shift.second)} ({shown.show_difference(shift.second - shift.first)} "
            f"{shown.show_interval(shift.interval)}, p = {shift.p:.2g})"
        )
    unknown = sum(math.isnan(shift.p) for shift in change.moved)
    unmoved = len(change.moved) - len(moved) - unknown
    shared = count(len(change.moved), "shared combination")
    if unknown:
        terminal.print(f"{unknown} of {shared} cannot be judged: that takes {FEWEST_SEEDS} seeds")
    if unmoved:
        terminal.print(f"{unmoved} of {shared} did not move beyond noise")
    return 0


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)


def _export(chosen: argparse.Namespace) -> int:
    from jcnn.study.storage.export import export
    from jcnn.study.storage.load import read_result
    from jcnn.study.storage.trackers import TARGETS, export_to

    if (chosen.file is None) == (chosen.to is None):
        raise UsageError(f"expected a file to write, or --to {TARGETS}")
    directory = Path(chosen.directory)
    if chosen.to is not None:
        place, runs = chosen.to, export_to(read_result(directory), chosen.to)
    else:
        file = Path(chosen.file)
        if file.name in RESULTS and file.resolve().parent == directory.resolve():
            raise UsageError(f"{file} is the study's own file; choose another name")
        place, runs = chosen.file, export(read_result(directory), file)
    if chosen.json:
        print(strict_json.dumps({"file" if chosen.to is None else "to": place, "runs": runs}))
    else:
        print(f"{count(runs, 'run')} in {place}")
    return 0
