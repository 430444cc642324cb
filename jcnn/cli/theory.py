"""`jcnn theory`: what mean-field theory says of an activation."""

import argparse
import itertools
from typing import TYPE_CHECKING, Any

from jcnn import names, strict_json
from jcnn.cli.output import add_output
from jcnn.names import UsageError

if TYPE_CHECKING:
    from jcnn.theory import MeanField

# How many weight variances a range is cut into, and for each of them in a figure.
_POINTS, _FINER = 13, 5


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "theory",
        help="what signals and gradients do with depth, predicted for an activation",
        description="Mean-field theory of wide random networks: the fixed point of the signal's "
        "variance, chi (the factor of the squared gradient a layer), the phase, and how deep a "
        "network trains (6 xi_c).",
    )
    parser.add_argument("--activation", default="tanh", help="a name, or module:attribute")
    parser.add_argument(
        "--weight-variance",
        default="1.0:4.0",
        metavar="LOW:HIGH",
        help="fan-in times the variance of a weight: one number, several joined by commas, or a "
        "range (default 1.0:4.0; he_normal is 2, glorot_normal about 1)",
    )
    parser.add_argument("--bias-variance", type=float, default=0.05, metavar="V")
    parser.add_argument("--plot", metavar="FILE", help="draw the phase diagram (.svg, .png, .pdf)")
    add_output(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the table."""
    weights = _weights(chosen.weight_variance)
    from jcnn import theory

    function = names.lookup("activation", chosen.activation)

    def points(at: list[float]) -> list["MeanField"]:
        bias = chosen.bias_variance
        return [theory.mean_field(function, weight_variance=w, bias_variance=bias) for w in at]

    found = points(weights)
    critical = theory.critical_weight_variance(function, chosen.bias_variance)
    gain, growth = theory.variance_gain(function), theory.batch_norm_gradient_growth(function)
    if chosen.plot:
        from jcnn.report import plot_phases, save

        steps = [
            a + (b - a) * i / _FINER for a, b in itertools.pairwise(weights) for i in range(_FINER)
        ]
        finer = points([*steps, weights[-1]])
        save(plot_phases(finer, critical, chosen.activation), chosen.plot)
    if chosen.json:
        content = {
            "activation": chosen.activation,
            "critical_weight_variance": critical,
            "variance_gain": gain,
            "batch_norm_gradient_growth": growth,
            "points": [one._asdict() | {"phase": one.phase} for one in found],
        }
        print(strict_json.dumps(content))
        return 0
    _print(found)
    print(
        f"\n{chosen.activation}: critical at weight variance {critical:.5g} with bias variance "
        f"{chosen.bias_variance:g}; variance gain {gain:.5g}; with batch norm the "
        f"gradient grows {growth:.4g}x a layer"
    )
    return 0


def _weights(given: str) -> list[float]:
    try:
        if ":" in given:
            low, high = map(float, given.split(":"))
            step = (high - low) / (_POINTS - 1)
            found = [round(low + step * i, 10) for i in range(_POINTS)]
        else:
            found = [float(word) for word in given.split(",")]
    except ValueError:
        found = []
    if not found or min(found) <= 0 or found != sorted(found):
        raise UsageError(
            f"--weight-variance {given}; expected a positive number, several joined by commas, or "
            "LOW:HIGH"
        )
    return found


def _print(found: list["MeanField"]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for head in ("weight variance", "q*", "chi", "gradient a layer", "c*", "xi_q", "xi_c", "6 xi_c",
                 "phase"):  # fmt: skip
        table.add_column(head, justify="left" if head == "phase" else "right")
    for one in found:
        scales = (one.variance_depth, one.correlation_depth, 6 * one.correlation_depth)
        numbers = (one.weight_variance, one.variance, one.chi, one.chi**0.5, one.correlation)
        table.add_row(*(f"{number:.4g}" for number in (*numbers, *scales)), one.phase)
    Console().print(table)
