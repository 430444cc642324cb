"""`jcnn data list`: the available data sets and their locations."""

import argparse
from typing import Any

from jcnn import strict_json
from jcnn.cli.output_arguments import add_output_arguments
from jcnn.cli.tables import Column, console, table


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("data", help="list the data sets and their locations")
    parser.add_argument("action", choices=["list"], help="the only action: list")
    parser.add_argument(
        "--data-dir", help="directory searched first for data sets (default: JCNN_DATA, if set)"
    )
    add_output_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the data sets as a table."""
    from jcnn import data

    entries = data.available(data_dir=chosen.data_dir)
    if chosen.json:
        print(strict_json.dumps(entries))
        return 0
    classes = [entry.num_classes for entry in entries]
    columns = [
        Column("name", [entry.name for entry in entries]),
        Column("example", ["x".join(map(str, entry.input_shape)) for entry in entries]),
        Column("train", [str(entry.train_examples) for entry in entries], numeric=True),
        Column("test", [str(entry.test_examples) for entry in entries], numeric=True),
        Column("classes", ["-" if n is None else str(n) for n in classes], numeric=True),
    ]
    terminal = console()
    terminal.print(table(columns, terminal.width))
    terminal.print()
    for entry in entries:
        terminal.print(f"{entry.name}: {entry.description}; {entry.found}")
    return 0
