"""`jcnn diagnose`: signals and gradients in each layer, what is wrong, and what would help."""

import argparse
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jcnn import strict_json
from jcnn.cli.layer_tables import steps_table
from jcnn.cli.model_arguments import add_model_arguments, print_note_on_noise, study_of_model
from jcnn.cli.output_arguments import add_output_arguments
from jcnn.cli.tables import Column, console, table
from jcnn.errors import UsageError

# What is said of layers whose gradient says nothing about them.
NOTES = ("off at start", "cut off", "unused")

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from jcnn.diagnosis import Diagnosis, MeanFieldPrediction
    from jcnn.study import Result
    from jcnn.study.first_combination import Tried

_EXAMPLES = 256
# A batch of random inputs has at most so many numbers, unless it would have too few examples.
_MOST_NUMBERS, _FEWEST_EXAMPLES = 1 << 22, 16
# The training of each remedy.
_REMEDY_EPOCHS, _REMEDY_SEEDS = 2, 2
_REMEDY_RATES = (0.3, 0.1, 0.03, 0.01)


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "diagnose",
        help="find out why a network does not train: each layer, verdict, remedies",
        description="Send one batch through a network at initialization, measure signals and "
        "gradients in each layer with weights, and say what is wrong and what would help. The exit "
        "code is 0 if the network is healthy, and 1 if a fault is found or weights are not seen.",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--learning-rate",
        type=float,
        default=0.1,
        metavar="RATE",
        help="the learning rate that updates are measured at (default: 0.1)",
    )
    parser.add_argument(
        "--examples",
        type=int,
        help=f"batch size (default: {_EXAMPLES}; fewer for large inputs of --input)",
    )
    parser.add_argument(
        "--singular-values",
        action="store_true",
        help="also compute singular values of the layers' and the model's Jacobians",
    )
    parser.add_argument(
        "--theory",
        action="store_true",
        help="also show what mean-field theory predicts for this model",
    )
    parser.add_argument(
        "--try-remedies",
        action="store_true",
        help=f"train each remedy for {_REMEDY_EPOCHS} epochs with {_REMEDY_SEEDS} seeds and "
        f"{len(_REMEDY_RATES)} learning rates, and show which helped",
    )
    parser.add_argument(
        "--follow",
        type=int,
        metavar="EPOCHS",
        help="also train, and measure the layers during training (default: do not train)",
    )
    parser.add_argument(
        "--every",
        type=int,
        default=20,
        metavar="STEPS",
        help="steps between two measurements of --follow (default: 20)",
    )
    parser.add_argument(
        "--heat-map", metavar="FILE", help="plot what --follow measures (default: no plot)"
    )
    add_output_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the diagnosis; the exit code is 0 only if the network is healthy."""
    if chosen.heat_map and not chosen.follow:
        raise UsageError("--heat-map plots a training; add --follow EPOCHS")
    if chosen.input and (chosen.follow or chosen.try_remedies):
        raise UsageError(
            "--follow and --try-remedies train, and nothing can be learned from random data; give "
            "--data instead of --input"
        )
    examples = _examples(chosen)
    study = study_of_model(chosen, examples, learning_rates=[chosen.learning_rate])
    from jcnn.study.first_combination import diagnose_first, predict_first, try_remedies

    diagnosis = diagnose_first(study, examples=examples, singular_values=chosen.singular_values)
    predicted = predict_first(study, examples=examples) if chosen.theory else None
    tried: list[Tried] = []
    if chosen.try_remedies and diagnosis.verdicts:
        brief = replace(
            study, learning_rates=_REMEDY_RATES, seeds=_REMEDY_SEEDS, epochs=_REMEDY_EPOCHS
        )
        tried = try_remedies(brief, diagnosis)
    trained = None
    if chosen.follow:
        trained = replace(study, epochs=chosen.follow, diagnose=chosen.every).run()
        if chosen.heat_map:
            title = f"{study.model}, learning rate {chosen.learning_rate:g}"
            _plot_layers(trained, title, chosen.heat_map)
    exit_code = 0 if diagnosis.verdict == "healthy" else 1
    terminal = console()
    if chosen.json:
        further: dict[str, Any] = {"tried": tried}
        if predicted is not None:
            further["predicted"] = predicted
        if trained is not None:
            further["history"] = trained.history(trained.ranking()[0])
        print(strict_json.dumps(diagnosis.to_dict() | further))
        return exit_code
    _print(terminal, diagnosis, chosen.singular_values)
    if predicted is not None:
        _print_predicted(terminal, diagnosis, predicted)
    if tried:
        terminal.print()
        terminal.print(_tried_table(tried, terminal.width))
    if trained is not None:
        _print_training(terminal, trained)
    print_note_on_noise(chosen)
    return exit_code


def _examples(chosen: argparse.Namespace) -> int:
    """The batch size: what is asked for, or as many random inputs as are not too large."""
    if chosen.examples is not None:
        return int(chosen.examples)
    if not chosen.input:
        return _EXAMPLES
    size = max(math.prod(chosen.input), 1)
    return min(_EXAMPLES, max(_FEWEST_EXAMPLES, _MOST_NUMBERS // size))


def _plot_layers(trained: "Result", title: str, path: str) -> None:
    from jcnn.report import plot_layers, save

    history = trained.history(trained.ranking()[0])
    if history is not None:
        save(plot_layers(history, title), path)


def _print(terminal: "Console", diagnosis: "Diagnosis", singular_values: bool) -> None:
    terminal.print(_layers_table(diagnosis, singular_values, terminal.width))
    layers = diagnosis.layers
    activations = dict.fromkeys(layer.activation for layer in layers if layer.activation)
    terminal.print(f"\nactivations: {', '.join(activations) or 'none'}")
    model = diagnosis.singular_values
    if model is not None:
        terminal.print(
            f"d outputs / d inputs: singular values from {model.smallest:.2g} to "
            f"{model.largest:.2g}, root mean square {model.root_mean_square:.2g}"
        )
    if diagnosis.unseen:
        terminal.print(
            "not seen (in a loop that cannot be unrolled, or in a branch): "
            + ", ".join(diagnosis.unseen)
        )
    if diagnosis.unused:
        terminal.print("not used by the model: " + ", ".join(diagnosis.unused))
    for each in diagnosis.verdicts:
        terminal.print(f"{each.kind} at {each.layer}: {each.sentence}", style="red")
    if diagnosis.verdict == "not seen":
        terminal.print("not seen: nothing is wrong with what was measured", style="yellow")
    elif diagnosis.verdict == "healthy":
        terminal.print("healthy: nothing is wrong with its signals and gradients", style="green")
    for line in diagnosis.remedies:
        terminal.print(line)


def _layers_table(diagnosis: "Diagnosis", singular_values: bool, width: int) -> "RenderableType":
    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.0%}"

    layers = diagnosis.layers
    numbers: dict[str, list[str]] = {
        "std": [f"{layer.std:.2g}" for layer in layers],
        "saturated": [share(layer.saturated) for layer in layers],
        "dead": [share(layer.dead) for layer in layers],
        "rank": [f"{layer.effective_rank:.1f}/{layer.units}" for layer in layers],
        "|dL/dh|": [f"{layer.gradient:.2g}" for layer in layers],
        "factor": ["" if layer.factor is None else f"{layer.factor:.2g}" for layer in layers],
        "|dL/dW|": [f"{layer.weight_gradient:.2g}" for layer in layers],
        "update": [f"{layer.update_ratio:.1g}" for layer in layers],
    }
    if singular_values:
        values = [layer.singular_values for layer in layers]
        numbers["rms"] = [f"{each.root_mean_square:.2g}" if each else "" for each in values]
        numbers["largest"] = [f"{each.largest:.2g}" if each else "" for each in values]
        numbers["smallest"] = [f"{each.smallest:.2g}" if each else "" for each in values]
    columns = [Column(head, cells, numeric=True) for head, cells in numbers.items()]
    notes = [layer.verdict if layer.verdict in NOTES else "" for layer in layers]
    if any(notes):
        columns.append(Column("note", notes))
    return table([Column("layer", [layer.name for layer in layers]), *columns], width)


def _print_predicted(
    terminal: "Console", diagnosis: "Diagnosis", predicted: "MeanFieldPrediction"
) -> None:
    """Print measured and predicted values next to each other, with their ratios."""

    def columns(
        name: str, measured: list[float | None], expected: list[float | None]
    ) -> list[Column]:
        pairs = list(zip(measured, expected, strict=True))
        known = [(m, e) if m is not None and e is not None else None for m, e in pairs]
        ratios = [f"{m / e:.2f}" if e else "" for m, e in (pair or (0, 0) for pair in known)]
        return [
            Column(name, [f"{pair[0]:.3g}" if pair else "" for pair in known], numeric=True),
            Column("predicted", [f"{p[1]:.3g}" if p else "" for p in known], numeric=True),
            Column("ratio", ratios, numeric=True),
        ]

    layers = diagnosis.layers
    shown = [
        Column("layer", [layer.name for layer in layers]),
        *columns("std", [layer.std for layer in layers], list(predicted.std)),
        *columns("factor", [layer.factor for layer in layers], list(predicted.factors)),
    ]
    terminal.print()
    terminal.print(table(shown, terminal.width))
    terminal.print(
        f"|dL/dh| of the first layer over the last hidden one: {diagnosis.gradient_ratio:.3g}, "
        f"predicted {predicted.gradient_ratio:.3g}"
    )


def _tried_table(tried: list["Tried"], width: int) -> "RenderableType":
    from jcnn.study.first_combination import change_label

    columns = [
        Column(
            f"trained for {_REMEDY_EPOCHS} epochs", [change_label(each.change) for each in tried]
        ),
        Column("at initialization", [each.verdict for each in tried]),
        Column("test metric", [each.shown or each.error for each in tried]),
    ]
    return table(columns, width)


def _print_training(terminal: "Console", trained: "Result") -> None:
    (row,) = trained.ranking()
    steps = trained.why(row)
    terminal.print()
    terminal.print(steps_table(steps, terminal.width))
    if steps and steps[0].verdict == "healthy" != steps[-1].verdict:
        terminal.print(
            f"healthy before training, {steps[-1].verdict} after: lower the learning rate "
            f"({row.learning_rate:g})",
            style="red",
        )
    terminal.print(
        f"gradient: |dL/dh| at the first layer over that at the last hidden one; final test "
        f"{trained.metric.name} {trained.metric.show(row.mean)}"
    )
