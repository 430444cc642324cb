"""`jcnn find-lr`: a learning rate for a model, from short trainings at many rates."""

import argparse
import math
from pathlib import Path
from typing import Any

from jcnn import strict_json
from jcnn.cli.limits import check_at_least, check_at_most
from jcnn.cli.model_arguments import add_model_arguments, print_note_on_noise, study_of_model
from jcnn.cli.output_arguments import add_output_arguments
from jcnn.cli.tables import Column, console, table
from jcnn.errors import UsageError

_MOST_STEPS, _MOST_REPEATS = 10_000, 100
_LOWEST, _HIGHEST = 1e-12, 1e6


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "find-lr",
        help="find a learning rate for a model from short trainings",
        description="Train briefly at many learning rates and report the one at which the loss "
        "falls furthest. Nothing is stored.",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--lowest",
        type=float,
        default=1e-4,
        metavar="RATE",
        help="lowest learning rate (default: 1e-4)",
    )
    parser.add_argument(
        "--highest",
        type=float,
        default=1.0,
        metavar="RATE",
        help="highest learning rate (default: 1.0)",
    )
    parser.add_argument("--steps", type=int, default=50, help="steps per training (default: 50)")
    parser.add_argument(
        "--batch-size", type=int, default=64, help="training examples per step (default: 64)"
    )
    parser.add_argument(
        "--repeats", type=int, default=2, help="trainings per learning rate (default: 2)"
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="plot the loss over the learning rate (default: no plot)"
    )
    add_output_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Find the learning rate and print it."""
    check_at_most("--steps", chosen.steps, _MOST_STEPS)
    check_at_most("--repeats", chosen.repeats, _MOST_REPEATS)
    check_at_least("--lowest", chosen.lowest, _LOWEST)
    check_at_most("--highest", chosen.highest, _HIGHEST)
    study = study_of_model(chosen, 8 * chosen.batch_size, batch_size=chosen.batch_size)
    if chosen.plot:
        Path(chosen.plot).touch()
    from jcnn.study.first_combination import find_rate_first

    try:
        search = find_rate_first(
            study,
            lowest=chosen.lowest,
            highest=chosen.highest,
            steps=chosen.steps,
            repeats=chosen.repeats,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    if chosen.plot:
        from jcnn.report import plot_rates, save

        save(plot_rates(search), chosen.plot)
    if chosen.json:
        print(strict_json.dumps(search))
        return 0
    losses = ["diverged" if math.isnan(loss) else f"{loss:.4g}" for loss in search.losses]
    columns = [
        Column("learning rate", [f"{rate:.2g}" for rate in search.rates], numeric=True),
        Column("loss", losses, numeric=True),
        Column("", ["<" if rate == search.rate else "" for rate in search.rates]),
    ]
    terminal = console()
    terminal.print(table(columns, terminal.width))
    if math.isnan(search.rate):
        terminal.print("the loss did not fall at any learning rate; try `jcnn diagnose`")
    else:
        terminal.print(f"learning rate {search.rate:.2g}")
    print_note_on_noise(chosen)
    return 0
