"""`jcnn data list`: what can be used, and where each was found."""

import argparse
from typing import Any

from jcnn import strict_json
from jcnn.cli.output import add_output


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("data", help="list the data sets and where each was found")
    parser.add_argument("action", choices=["list"], help="what to do")
    parser.add_argument("--data-dir", help="a directory to look in first (or JCNN_DATA)")
    add_output(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    from jcnn import data

    entries = data.available(data_dir=chosen.data_dir)
    if chosen.json:
        print(strict_json.dumps(entries))
        return 0
    table = Table(box=None, pad_edge=False)
    for column in ("name", "example", "train", "test", "classes"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        table.add_row(
            entry.name,
            "x".join(map(str, entry.input_shape)),
            str(entry.train_examples),
            str(entry.test_examples),
            "-" if entry.num_classes is None else str(entry.num_classes),
        )
    console = Console()
    console.print(table)
    console.print()
    for entry in entries:
        console.print(f"{entry.name}: {entry.description}; {entry.found}", highlight=False)
    return 0
