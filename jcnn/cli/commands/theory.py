"""`jcnn theory`: the predictions of mean-field theory for an activation."""

import argparse
import itertools
from typing import TYPE_CHECKING, Any

from jcnn import names, strict_json
from jcnn.cli.output_arguments import add_output_arguments
from jcnn.cli.tables import Column, console, table
from jcnn.names import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jcnn.theory import MeanField

# The number of weight variances in a range, and of steps between two of them in a plot.
_POINTS, _PLOT_STEPS = 13, 5


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "theory",
        help="predict what depth does to signals and gradients with an activation",
        description="Mean-field theory of wide random networks: the fixed point q* of the "
        "signal's variance, chi (the factor of the squared gradient norm per layer), the phase, "
        "and the depth to which a network trains (6 xi_c).",
    )
    parser.add_argument(
        "--activation", default="tanh", help="a name, or module:attribute (default: tanh)"
    )
    parser.add_argument(
        "--weight-variance",
        default="1.0:4.0",
        metavar="LOW:HIGH",
        help="fan-in times the variance of a weight: one number, several joined by commas, or a "
        "range (default: 1.0:4.0; he_normal is 2, glorot_normal about 1)",
    )
    parser.add_argument(
        "--bias-variance",
        type=float,
        default=0.05,
        metavar="V",
        help="the variance of a bias (default: 0.05)",
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help="plot the phase diagram as .svg, .png or .pdf (default: no plot)",
    )
    add_output_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the table."""
    weights = _parse_weights(chosen.weight_variance)
    from jcnn import theory

    function = names.lookup("activation", chosen.activation)

    def mean_fields(weights: list[float]) -> list["MeanField"]:
        bias = chosen.bias_variance
        return [theory.mean_field(function, weight_variance=w, bias_variance=bias) for w in weights]

    points = mean_fields(weights)
    critical = theory.critical_weight_variance(function, chosen.bias_variance)
    gain, growth = theory.variance_gain(function), theory.batch_norm_gradient_growth(function)
    if chosen.plot:
        from jcnn.report import plot_phases, save

        finer = mean_fields(_refine(weights))
        save(plot_phases(finer, critical, chosen.activation), chosen.plot)
    if chosen.json:
        content = {
            "activation": chosen.activation,
            "critical_weight_variance": critical,
            "gain": gain,
            "batch_norm_gradient_growth": growth,
            "points": [point._asdict() | {"phase": point.phase} for point in points],
        }
        print(strict_json.dumps(content))
        return 0
    terminal = console()
    terminal.print(_table(points, terminal.width))
    terminal.print(
        f"\n{chosen.activation}: critical at weight variance {critical:.5g} with bias variance "
        f"{chosen.bias_variance:g}; the gain that preserves the variance is {gain:.5g}; with batch "
        f"norm the gradient grows by {growth:.4g} per layer"
    )
    return 0


def _parse_weights(text: str) -> list[float]:
    try:
        if ":" in text:
            low, high = map(float, text.split(":"))
            step = (high - low) / (_POINTS - 1)
            weights = [round(low + step * i, 10) for i in range(_POINTS)]
        else:
            weights = [float(word) for word in text.split(",")]
    except ValueError:
        weights = []
    if not weights or min(weights) <= 0 or weights != sorted(weights):
        raise UsageError(
            f"--weight-variance {text}; expected a positive number, several joined by commas, or "
            "LOW:HIGH"
        )
    return weights


def _refine(weights: list[float]) -> list[float]:
    """Insert values between each two weight variances."""
    steps = range(_PLOT_STEPS)
    pairs = itertools.pairwise(weights)
    return [*(a + (b - a) * i / _PLOT_STEPS for a, b in pairs for i in steps), weights[-1]]


def _table(points: list["MeanField"], width: int) -> "RenderableType":
    numbers = {
        "weight variance": [point.weight_variance for point in points],
        "q*": [point.variance for point in points],
        "chi": [point.chi for point in points],
        "gradient per layer": [point.chi**0.5 for point in points],
        "c*": [point.correlation for point in points],
        "xi_q": [point.variance_depth for point in points],
        "xi_c": [point.correlation_depth for point in points],
        "6 xi_c": [6 * point.correlation_depth for point in points],
    }
    columns = [
        Column(head, [f"{value:.4g}" for value in values], numeric=True)
        for head, values in numbers.items()
    ]
    return table([*columns, Column("phase", [point.phase for point in points])], width)
