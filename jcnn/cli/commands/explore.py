"""`jcnn explore`: a local page to choose the parts of a network, see its signals and train it."""

import argparse
import json
import sys
import threading
import webbrowser
from functools import partial
from typing import Any

from jcnn.cli.output_arguments import add_output_arguments
from jcnn.cli.study_arguments import DATA_HELP
from jcnn.cli.write_report import report_html
from jcnn.errors import UsageError


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "explore",
        help="open a page to choose a network's parts, see its signals and watch it train",
        description="Serve a page on this machine only, at an address with a random token. Choose "
        "activation, initialization, normalization, pooling and depth, see the signals and "
        "gradients at initialization next to those predicted by mean-field theory, train the "
        "network, and compare two.",
    )
    parser.add_argument(
        "directory",
        nargs="?",
        help="a study's directory: start with its data and best combination, and link its report "
        "(default: none)",
    )
    parser.add_argument("--data", help=f"{DATA_HELP} (default: digits)")
    parser.add_argument("--port", type=int, default=0, help="the port (default: any free port)")
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address but do not open a browser"
    )
    add_output_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Serve until interrupted."""
    if chosen.quiet and chosen.no_browser and not chosen.json:
        raise UsageError("--quiet with --no-browser leaves no way to the page; drop one of them")
    from jcnn import engine
    from jcnn.data.fetch import cache_dir

    engine.enable_compilation_cache(cache_dir() / "compiled")
    from jcnn.explore import Explorer, serve
    from jcnn.explore.subject import load_subject
    from jcnn.explore.warm_up import warm_up

    subject = load_subject(chosen.data, chosen.directory)
    report = None if subject.directory is None else partial(report_html, subject.directory)
    explorer = Explorer(subject, report=report)

    def ready(address: str) -> None:
        # Started only now: a process that ends while one of its threads compiles crashes.
        threading.Thread(target=warm_up, args=(subject,), name="jcnn warm-up", daemon=True).start()
        # One line, which a program can read while the server runs.
        print(json.dumps({"address": address}) if chosen.json else address, flush=True)
        if not (chosen.quiet or chosen.json):
            print("serving on this machine only; press Ctrl-C to stop", file=sys.stderr, flush=True)
        if not chosen.no_browser:
            webbrowser.open(address)

    serve(explorer, port=chosen.port, ready=ready)
    return 0
