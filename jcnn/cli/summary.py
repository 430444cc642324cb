"""`jcnn summary`: a model's layers, parameters, operations, memory and receptive fields."""

import argparse
from typing import TYPE_CHECKING, Any

from jcnn import strict_json
from jcnn.cli.one_model import add_model, study_of
from jcnn.cli.output import add_output

if TYPE_CHECKING:
    from jcnn.diagnosis import Summary


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "summary",
        help="a model's parameters, operations, memory and receptive fields",
        description="Each layer with weights, for one example: what it gives, parameters, "
        "floating-point operations as XLA counts them, bytes, and the inputs that reach the unit "
        "in the middle of its output.",
    )
    add_model(parser)
    parser.add_argument("--batch-size", type=int, default=64, help="of the train step's memory")
    add_output(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the summary."""
    study = study_of(chosen, batch_size=chosen.batch_size)
    from jcnn.study.first_combination import summarize_first

    found = summarize_first(study)
    if chosen.json:
        print(strict_json.dumps(found))
    else:
        _print(found)
    return 0


def _print(found: "Summary") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("layer", overflow="fold")
    for head in ("output", "parameters", "flops", "bytes", "receptive field"):
        table.add_column(head, justify="right")
    for one in found.layers:
        table.add_row(
            Text(f"{one.name} ({one.kind})"),
            "x".join(map(str, one.shape)),
            f"{one.parameters:,}",
            f"{one.flops:,.0f}",
            f"{one.activation_bytes:,}",
            "x".join(map(str, one.receptive_field)),
        )
    console = Console()
    console.print(table)
    console.print(
        f"\n{found.parameters:,} parameters, {found.flops:,.0f} flops an example; the gradient of "
        f"a batch of {found.batch_size} takes {found.step_bytes / 1e6:,.1f} MB beside its "
        "arguments"
    )
