"""`jcnn runs`: what studies have left, how two of them differ, and their runs as a table."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn import strict_json
from jcnn.cli.compare import baseline_levels
from jcnn.cli.output import add_output
from jcnn.cli.table import show, tell_failures
from jcnn.errors import UsageError

if TYPE_CHECKING:
    from jcnn.study import Result

# What a study writes itself, and exporting does not replace.
RESULTS = ("results.json", "environment.json")


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "runs",
        help="list, show, compare and export the directories that studies left",
        description="What the directories of studies hold. Nothing is trained.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the studies under a directory")
    listing.add_argument("under", nargs="?", default="runs", help="where to look (default runs)")
    add_output(listing)
    listing.set_defaults(run=_list)
    showing = actions.add_parser("show", help="the answer of a study again")
    showing.add_argument("directory")
    showing.add_argument("--metric", metavar="FORM", help="as in `jcnn compare`")
    showing.add_argument("--baseline", metavar="FACTOR=LEVEL,...", help="as in `jcnn compare`")
    showing.add_argument(
        "--heat-map",
        metavar="FILE",
        help="draw what each layer went through, of a study with --diagnose",
    )
    showing.add_argument(
        "--of",
        metavar="FACTOR=LEVEL,...",
        help="the combination that --heat-map draws (default the best)",
    )
    add_output(showing)
    showing.set_defaults(run=_show)
    differing = actions.add_parser(
        "diff", help="which settings and versions differ, and whether results moved beyond noise"
    )
    differing.add_argument("first")
    differing.add_argument("second")
    add_output(differing)
    differing.set_defaults(run=_diff)
    exporting = actions.add_parser("export", help="every run as a row of a .csv, .json or .parquet")
    exporting.add_argument("directory")
    exporting.add_argument("file")
    add_output(exporting)
    exporting.set_defaults(run=_export)


def _list(chosen: argparse.Namespace) -> int:
    from jcnn.study.storage.ledger import NAME
    from jcnn.study.storage.load import summary

    under = Path(chosen.under)
    if not under.is_dir() and chosen.under != "runs":
        raise UsageError(f"{under} is not a directory")
    found = [summary(path.parent) for path in sorted(under.glob(f"**/{NAME}"))]
    if chosen.json:
        print(strict_json.dumps(found))
        return 0
    if not found:
        print(f"no studies under {under}; `jcnn compare` leaves one")
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from jcnn.study.factors import told

    table = Table(box=None, pad_edge=False)
    for head in ("directory", "data", "model", "runs", "best"):
        table.add_column(head, overflow="fold", justify="right" if head == "runs" else "left")
    for one in found:
        study = one["study"]
        best = f"{one['shown']} {told(one['best'])}" if "best" in one else one["state"]
        cells = [
            one["directory"],
            study.get("data", ""),
            study.get("model", ""),
            one["runs"],
            best,
        ]
        table.add_row(*(Text(str(cell)) for cell in cells))
    Console().print(table)
    return 0


def _show(chosen: argparse.Namespace) -> int:
    from jcnn.study.storage.load import read_result

    result = read_result(Path(chosen.directory))
    if chosen.metric is not None:
        result = result.by(chosen.metric)
    baseline = baseline_levels(chosen.baseline, result.combinations)
    if chosen.heat_map:
        _draw_layers(result, chosen.of, Path(chosen.heat_map))
    if chosen.json:
        print(result.to_json())
    else:
        show(result, Path(chosen.directory), baseline)
    tell_failures(result)
    return 0


def _draw_layers(result: "Result", of: str | None, path: Path) -> None:
    from jcnn.report import plot_layers, save
    from jcnn.study.factors import told

    levels = baseline_levels(of, result.combinations) or {}
    row = next(row for row in result.ranking() if levels.items() <= row.levels.items())
    followed = result.followed(row)
    if not followed:
        raise UsageError("its layers were not measured; train the study with --diagnose")
    title = f"{told(row.levels)}, learning rate {row.learning_rate:g}"
    save(plot_layers(followed, title), path)


def _diff(chosen: argparse.Namespace) -> int:
    from jcnn.analysis.diff import difference
    from jcnn.study.factors import told
    from jcnn.study.storage.load import read_result

    first, second = (read_result(Path(place)) for place in (chosen.first, chosen.second))
    found = difference(first, second)
    if chosen.json:
        pairs = [one._asdict() | {"real": one.real} for one in found.moved]
        print(strict_json.dumps(found._asdict() | {"moved": pairs}))
        return 0
    shown = first.measure
    for what, unlike in (("setting", found.settings), ("version", found.versions)):
        for name, (a, b) in unlike.items():
            print(f"{what} {name}: {_spelled(a)} -> {_spelled(b)}")
    for place, only in ((chosen.first, found.only_first), (chosen.second, found.only_second)):
        for levels in only:
            print(f"only in {place}: {told(levels)}")
    if not found.moved:
        print("no combination is in both")
        return 0
    moved = [one for one in found.moved if one.real]
    for one in moved:
        print(
            f"moved: {told(one.levels)}: {shown.show(one.first)} -> "
            f"{shown.show(one.second)} ({shown.gap(one.second - one.first)} "
            f"{shown.show_interval(one.interval)}, corrected p = {one.corrected:.2g})"
        )
    still = len(found.moved) - len(moved)
    print(f"{still} of {len(found.moved)} shared combinations did not move beyond noise")
    return 0


def _export(chosen: argparse.Namespace) -> int:
    from jcnn.study.storage.export import export
    from jcnn.study.storage.load import read_result

    directory, file = Path(chosen.directory), Path(chosen.file)
    if file.name in RESULTS and file.resolve().parent == directory.resolve():
        raise UsageError(f"{file} is the study's own file; name another")
    count = export(read_result(directory), file)
    if chosen.json:
        print(strict_json.dumps({"file": chosen.file, "runs": count}))
    elif not chosen.quiet:
        print(f"{count} runs in {chosen.file}")
    return 0


def _spelled(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)
