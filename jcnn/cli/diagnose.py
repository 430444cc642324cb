"""`jcnn diagnose`: what happens in each layer of a network, what is wrong, and what would help."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jcnn import strict_json
from jcnn.cli.one_model import add_model, study_of
from jcnn.cli.output import add_output
from jcnn.cli.why import moments_table
from jcnn.errors import UsageError

if TYPE_CHECKING:
    from jcnn.diagnosis import Diagnosis, Prediction
    from jcnn.study import Result
    from jcnn.study.first_combination import Tried


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "diagnose",
        help="why a network does not train: signals and gradients in each layer, verdict, remedy",
        description="One batch through a network at initialization: each layer with weights, what "
        "its signals and gradients are, what is wrong and what would help.",
    )
    add_model(parser)
    parser.add_argument("--learning-rate", type=float, default=0.1, metavar="RATE")
    parser.add_argument("--examples", type=int, default=256, help="in the batch (default 256)")
    parser.add_argument(
        "--singular-values", action="store_true", help="of each layer's Jacobian, and the model's"
    )
    parser.add_argument(
        "--theory",
        action="store_true",
        help="beside what is measured, what mean-field theory predicts for this model",
    )
    parser.add_argument(
        "--try-remedies",
        action="store_true",
        help="train each remedy for 2 epochs, 2 seeds and 4 rates, and say which helped",
    )
    parser.add_argument(
        "--follow",
        type=int,
        metavar="EPOCHS",
        help="train, and measure the layers on the way too",
    )
    parser.add_argument(
        "--every", type=int, default=20, metavar="STEPS", help="of --follow (default 20)"
    )
    parser.add_argument("--heat-map", metavar="FILE", help="draw what --follow measures")
    add_output(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the diagnosis; the exit code is 0 whatever it is."""
    if chosen.heat_map and not chosen.follow:
        raise UsageError("--heat-map draws a training; add --follow EPOCHS")
    study = study_of(chosen, learning_rates=[chosen.learning_rate])
    from jcnn.study.first_combination import diagnose_first, predict_first, try_remedies

    found = diagnose_first(study, examples=chosen.examples, singular_values=chosen.singular_values)
    predicted = predict_first(study, examples=chosen.examples) if chosen.theory else None
    tried: list[Tried] = []
    if chosen.try_remedies and found.verdicts:
        brief = replace(study, learning_rates=(0.3, 0.1, 0.03, 0.01), seeds=2, epochs=2)
        tried = try_remedies(brief, found)
    trained = None
    if chosen.follow:
        trained = replace(study, epochs=chosen.follow, diagnose=chosen.every).run()
        followed = trained.followed(trained.ranking()[0])
        if chosen.heat_map:
            from jcnn.report import plot_layers, save

            title = f"{study.model}, learning rate {chosen.learning_rate:g}"
            save(plot_layers(followed, title), chosen.heat_map)
    if chosen.json:
        further: dict[str, Any] = {"tried": tried}
        if predicted is not None:
            further["predicted"] = predicted
        if trained is not None:
            further["followed"] = followed
        print(strict_json.dumps(found.content() | further))
        return 0
    _print(found, chosen.singular_values)
    if predicted is not None:
        _print_predicted(found, predicted)
    if tried:
        _print_tried(tried)
    if trained is not None:
        _print_followed(trained)
    return 0


def _print(found: "Diagnosis", singular_values: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.0%}"

    columns: dict[str, list[str]] = {
        "std": [f"{one.std:.2g}" for one in found.layers],
        "saturated": [share(one.saturated) for one in found.layers],
        "dead": [share(one.dead) for one in found.layers],
        "rank": [f"{one.effective_rank:.1f}/{one.units}" for one in found.layers],
        "|dL/dh|": [f"{one.gradient:.2g}" for one in found.layers],
        "factor": ["" if one.factor is None else f"{one.factor:.2g}" for one in found.layers],
        "|dL/dW|": [f"{one.weight_gradient:.2g}" for one in found.layers],
        "update": [f"{one.update_ratio:.1g}" for one in found.layers],
    }
    if singular_values:
        values = [one.singular_values for one in found.layers]
        columns["rms"] = [f"{one.root_mean_square:.2g}" if one else "" for one in values]
        columns["largest"] = [f"{one.largest:.2g}" if one else "" for one in values]
        columns["smallest"] = [f"{one.smallest:.2g}" if one else "" for one in values]
    columns = {head: cells for head, cells in columns.items() if any(cells)}
    table = Table(box=None, pad_edge=False)
    table.add_column("layer", overflow="fold")
    for head in columns:
        table.add_column(head, justify="right", overflow="fold")
    for one, cells in zip(found.layers, zip(*columns.values(), strict=True), strict=True):
        table.add_row(Text(one.name), *cells)
    console = Console()
    console.print(table)
    activations = dict.fromkeys(one.activation for one in found.layers if one.activation)
    console.print(f"\nactivations found: {', '.join(activations) or 'none'}")
    whole = found.singular_values
    if whole is not None:
        console.print(
            f"d outputs / d inputs: singular values from {whole.smallest:.2g} to "
            f"{whole.largest:.2g}, root mean square {whole.root_mean_square:.2g}"
        )
    told = [f"{one.kind} at {one.layer}: {one.sentence}" for one in found.verdicts]
    if found.unseen:
        names_of = ", ".join(found.unseen)
        console.print(Text(f"not seen on their own (in a loop, or not called): {names_of}"))
    for line in told or ["healthy: nothing is wrong with its signals and gradients"]:
        console.print(Text(line))
    for line in found.remedies:
        console.print(Text(line))


def _print_predicted(found: "Diagnosis", predicted: "Prediction") -> None:
    """Measured and predicted beside each other, with the ratio."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("layer", overflow="fold")
    for head in ("std", "predicted", "ratio", "factor", "predicted", "ratio"):
        table.add_column(head, justify="right")

    def beside(measured: float | None, expected: float | None) -> list[str]:
        if measured is None or expected is None:
            return [""] * 3
        ratio = f"{measured / expected:.2f}" if expected else ""
        return [f"{measured:.3g}", f"{expected:.3g}", ratio]

    rows = zip(found.layers, predicted.std, predicted.factors, strict=True)
    for one, std, factor in rows:
        table.add_row(Text(one.name), *beside(one.std, std), *beside(one.factor, factor))
    console = Console()
    console.print()
    console.print(table)
    console.print(
        f"|dL/dh| of the first layer over the last hidden one: {found.gradient_ratio:.3g}, "
        f"predicted {predicted.gradient_ratio:.3g}"
    )


def _print_tried(tried: list["Tried"]) -> None:
    from rich.console import Console
    from rich.table import Table

    from jcnn.study.first_combination import told_change

    table = Table(box=None, pad_edge=False)
    for head in ("tried for 2 epochs", "at the start", "test metric"):
        table.add_column(head, overflow="fold")
    for one in tried:
        table.add_row(told_change(one.change), one.verdict, one.shown or one.error)
    console = Console()
    console.print()
    console.print(table)


def _print_followed(trained: "Result") -> None:
    from rich.console import Console

    (row,) = trained.ranking()
    console = Console()
    console.print()
    console.print(moments_table(trained.why(row)))
    console.print(
        f"gradient: |dL/dh| at the first layer over that at the last hidden one; test "
        f"{trained.metric} in the end {trained.measure.show(row.mean)}"
    )
