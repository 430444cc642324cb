"""`jcnn explore`: choose the parts of a network on a page, see its signals, watch it train."""

import argparse
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jcnn import strict_json
from jcnn.cli.output import add_output


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "explore",
        help="a page on this machine: choose a network's parts, see its signals, watch it train",
        description="Serve a page on this machine alone, at an address with a random token: "
        "choose activation, initialization, normalization, pooling and depth, see the signals and "
        "gradients of the fresh network beside what theory expects, train it, compare two.",
    )
    parser.add_argument(
        "directory", nargs="?", help="a study's: its data, its winner to begin with, its report"
    )
    parser.add_argument("--data", help="a name, a .npz file, a folder or archive (default digits)")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address, and open nothing"
    )
    add_output(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from jcnn import engine
    from jcnn.data.fetch import cache_dir

    engine.keep_compiled(cache_dir() / "compiled")
    from jcnn.explore import Explorer, serve
    from jcnn.explore.subject import subject_of
    from jcnn.explore.warm_up import warm_up

    subject = subject_of(chosen.data, chosen.directory)
    report = None if subject.directory is None else _report_of(subject.directory)
    explorer = Explorer(subject, report=report)

    def ready(address: str) -> None:
        # Not before: a process that ends while a thread of it compiles crashes.
        threading.Thread(target=warm_up, args=(subject,), name="jcnn warm-up", daemon=True).start()
        print(strict_json.dumps({"address": address}) if chosen.json else address, flush=True)
        if not (chosen.quiet or chosen.json):
            print("for this machine alone; Ctrl-C ends it", file=sys.stderr, flush=True)
        if not chosen.no_browser:
            webbrowser.open(address)

    serve(explorer, port=chosen.port, ready=ready)
    return 0


def _report_of(directory: Path) -> Callable[[], str]:
    """What gives a study's report: the page in its directory, else one without pictures."""

    def report() -> str:
        from jcnn.cli.report import NAME
        from jcnn.report import render, shows
        from jcnn.study.storage.load import read_result

        result, path = read_result(directory), directory / NAME
        return path.read_text(encoding="utf-8") if shows(path, result) else render(result)

    return report
