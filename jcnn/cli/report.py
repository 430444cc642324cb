"""`jcnn report`: a finished study as one page that stands alone."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn import strict_json
from jcnn.cli.output import add_output
from jcnn.errors import UsageError

if TYPE_CHECKING:
    from jcnn.study import Result, Study
    from jcnn.study.look import Look

NAME = "report.html"
FORMATS = ("svg", "png", "pdf")


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "report",
        help="a finished study as one page: answer, figures, what the best network sees",
        description="Write the report of a finished study as one HTML file that needs no network. "
        "The best combination is trained once more, for its pictures.",
    )
    parser.add_argument("directory", help="the directory that a study left")
    parser.add_argument("--out", metavar="FILE", help=f"the page (default DIRECTORY/{NAME})")
    parser.add_argument("--metric", metavar="FORM", help="as in `jcnn compare`")
    parser.add_argument("--figures", metavar="FOLDER", help="each figure as a file of its own, too")
    parser.add_argument("--format", choices=FORMATS, default="svg", help="of --figures")
    parser.add_argument(
        "--no-pictures", action="store_true", help="train nothing: leave the network's pictures out"
    )
    add_output(parser)
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
    look = _look(study, result)
    from jcnn.report import write_figures, write_report

    write_report(result, out, look)
    figures = []
    if chosen.figures:
        figures = write_figures(result, chosen.figures, look, kind=chosen.format)
    if chosen.json:
        print(strict_json.dumps({"report": str(out), "figures": [str(one) for one in figures]}))
    elif not chosen.quiet:
        print(out)
        if figures:
            print(f"{len(figures)} figures in {chosen.figures}")
    return 0


def write_after(study: "Study", result: "Result", directory: Path) -> Path:
    """The report of a study that has just been run; one of the same result stays as it is."""
    from jcnn.report import shows, write_report

    path = directory / NAME
    if not shows(path, result, pictures=True):
        write_report(result, path, _look(study, result))
    return path


def _study(directory: Path) -> "Study | None":
    """The study that a directory's file describes; None, saying so, where it has Python objects."""
    from jcnn import engine
    from jcnn.data.fetch import cache_dir
    from jcnn.study import Study
    from jcnn.study.toml import read_study

    engine.keep_compiled(cache_dir() / "compiled")
    try:
        return Study(**read_study(directory / "study.toml"))
    except UsageError as error:
        print(f"jcnn report: no pictures of the network: {error}", file=sys.stderr)
        return None


def _look(study: "Study | None", result: "Result") -> "Look | None":
    """What a report shows of the network; what is in its way is said, and costs nothing else."""
    from jcnn.study.look import look_into

    if study is None:
        return None
    try:
        return look_into(study, result)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        print(f"jcnn: the report has no pictures of the network: {reason}", file=sys.stderr)
        return None
