"""`jcnn find-lr`: the learning rate to train a model at, from a short training at each rate."""

import argparse
import math
from pathlib import Path
from typing import Any

from jcnn import strict_json
from jcnn.cli.one_model import add_model, study_of
from jcnn.cli.output import add_output
from jcnn.errors import UsageError


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "find-lr",
        help="the learning rate to train a model at, from short trainings",
        description="Train shortly at many rates, and say at which the loss falls furthest. "
        "Nothing is kept of those trainings.",
    )
    add_model(parser)
    parser.add_argument("--lowest", type=float, default=1e-4, metavar="RATE")
    parser.add_argument("--highest", type=float, default=1.0, metavar="RATE")
    parser.add_argument("--steps", type=int, default=50, help="of each training (default 50)")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=2, help="trainings a rate (default 2)")
    parser.add_argument("--plot", metavar="FILE", help="draw the loss over the rate")
    add_output(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Find the rate and print it."""
    study = study_of(chosen, batch_size=chosen.batch_size)
    if chosen.plot:
        Path(chosen.plot).touch()
    from jcnn.study.first_combination import find_rate_first

    try:
        found = find_rate_first(
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

        save(plot_rates(found), chosen.plot)
    if chosen.json:
        print(strict_json.dumps(found))
        return 0
    print(f"{'rate':>8} {'loss':>8}")
    for rate, loss in zip(found.rates, found.losses, strict=True):
        shown = "diverged" if math.isnan(loss) else f"{loss:8.4g}"
        print(f"{rate:8.2g} {shown}{'  <' if rate == found.rate else ''}")
    if math.isnan(found.rate):
        print("the loss fell at no rate; `jcnn diagnose` may say why")
    else:
        print(f"learning rate {found.rate:.2g}")
    return 0
