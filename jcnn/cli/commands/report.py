"""`jcnn report`: a finished study as one self-contained HTML page."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn import strict_json
from jcnn.cli.formatting import count
from jcnn.cli.output_arguments import add_output_arguments
from jcnn.cli.study_arguments import METRIC_HELP
from jcnn.cli.write_report import NAME, inspect_best
from jcnn.errors import UsageError

if TYPE_CHECKING:
    from jcnn.study import Study

FORMATS = ("svg", "png", "pdf")


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "report",
        help="write a finished study as one HTML page: answer, figures, the best network",
        description="Write the report of a finished study as one HTML file that works offline. "
        "The best combination is trained once more for the pictures of its network.",
    )
    parser.add_argument("directory", help="the study's directory")
    parser.add_argument(
        "--out", metavar="FILE", help=f"the file to write (default: DIRECTORY/{NAME})"
    )
    parser.add_argument("--metric", metavar="METRIC", help=METRIC_HELP)
    parser.add_argument(
        "--figures", metavar="FOLDER", help="also write each figure as a file (default: do not)"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="svg", help="the format of --figures (default: svg)"
    )
    parser.add_argument(
        "--no-pictures", action="store_true", help="train nothing and leave out the pictures"
    )
    add_output_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Write the report."""
    from jcnn.study.storage.load import read_result

    directory = Path(chosen.directory)
    result = read_result(directory)
    study = None if chosen.no_pictures else _study(directory)
    if chosen.metric is not None:
        result = result.by(chosen.metric)
    out = Path(chosen.out) if chosen.out else directory / NAME
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: {out.parent} is not a directory")
    look = inspect_best(study, result, directory)
    from jcnn.report import write_figures, write_report

    write_report(result, out, look)
    figures = []
    if chosen.figures:
        figures = write_figures(result, chosen.figures, look, kind=chosen.format)
    if chosen.json:
        print(strict_json.dumps({"report": str(out), "figures": [str(path) for path in figures]}))
        return 0
    print(out)
    if figures:
        print(f"{count(len(figures), 'figure')} in {chosen.figures}")
    return 0


def _study(directory: Path) -> "Study | None":
    """Return the study of a directory's file, or None with a message if it has Python objects."""
    from jcnn import engine
    from jcnn.data.fetch import cache_dir
    from jcnn.study import Study
    from jcnn.study.toml import read_study

    engine.use_all_cores()
    engine.enable_compilation_cache(cache_dir() / "compiled")
    try:
        return Study(**read_study(directory / "study.toml"))
    except UsageError as error:
        print(f"jcnn report: no pictures of the network: {error}", file=sys.stderr)
        return None
