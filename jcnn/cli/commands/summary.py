"""`jcnn summary`: a model's layers, parameters, operations, memory and receptive fields."""

import argparse
from typing import TYPE_CHECKING, Any

from jcnn import strict_json
from jcnn.cli.model_arguments import add_model_arguments, study_of_model
from jcnn.cli.output_arguments import add_output_arguments
from jcnn.cli.tables import Column, console, table

if TYPE_CHECKING:
    from jcnn.diagnosis import Summary


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "summary",
        help="show a model's parameters, operations, memory and receptive fields",
        description="For each layer with weights and one example: the output's shape, parameters, "
        "floating-point operations as counted by XLA, bytes of the output, and the receptive field "
        "of the unit in the middle of the output.",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--batch-size",
        type=int,
        default=64,
        help="the batch size of the train step whose memory is shown (default: 64)",
    )
    add_output_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the summary."""
    study = study_of_model(chosen, chosen.batch_size, batch_size=chosen.batch_size)
    from jcnn.study.first_combination import summarize_first

    summary = summarize_first(study)
    if chosen.json:
        print(strict_json.dumps(summary))
    else:
        _print(summary)
    return 0


def _print(summary: "Summary") -> None:
    layers = summary.layers
    columns = [
        Column("layer", [f"{layer.name} ({layer.kind})" for layer in layers]),
        Column("output", ["x".join(map(str, layer.shape)) for layer in layers], numeric=True),
        Column("parameters", [f"{layer.parameters:,}" for layer in layers], numeric=True),
        Column("flops", [f"{layer.flops:,.0f}" for layer in layers], numeric=True),
        Column("bytes", [f"{layer.activation_bytes:,}" for layer in layers], numeric=True),
        Column(
            "receptive field",
            ["x".join(map(str, layer.receptive_field)) for layer in layers],
            numeric=True,
        ),
    ]
    terminal = console()
    terminal.print(table(columns, terminal.width))
    terminal.print(
        f"\n{summary.parameters:,} parameters, {summary.flops:,.0f} flops per example; the "
        f"gradient of a batch of {summary.batch_size} takes {summary.step_bytes / 1e6:,.1f} MB in "
        "addition to its arguments"
    )
