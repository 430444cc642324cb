"""The sections of a report: headings, sentences and figures, without markup."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from jcnn.analysis.effect_text import interaction_sentence
from jcnn.analysis.labels import short_label
from jcnn.analysis.text import step_cells
from jcnn.report.curves import plot_curves
from jcnn.report.effects import plot_effects, plot_interaction
from jcnn.report.gradients import plot_gradients
from jcnn.report.layers import plot_layers
from jcnn.report.pictures import (
    plot_confused,
    plot_confusion,
    plot_filters,
    plot_poolings,
    plot_stages,
)
from jcnn.report.samples import plot_samples
from jcnn.report.sensitivity import plot_sensitivity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.analysis import Interaction, Result
    from jcnn.study.inspect_model import ModelInspection

# The number of combinations with a curve, and with a row in the table of causes.
MOST_CURVES, MOST_WHY, MOST_INTERACTIONS = 24, 40, 3


class Picture(NamedTuple):
    """A figure, its file name without ending, and a short description."""

    name: str
    label: str
    figure: "Figure"


class Table(NamedTuple):
    """The header and rows of a table."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Block(NamedTuple):
    """A heading, a sentence, and its figures side by side or its table."""

    text: str
    pictures: Sequence[Picture] = ()
    heading: str = ""
    table: Table | None = None


class Section(NamedTuple):
    """One part of a report; `id` is its anchor, `short` its name in the navigation."""

    id: str
    short: str
    title: str
    blocks: Sequence[Block]


def sections(result: "Result", inspection: "ModelInspection | None") -> list[Section]:
    """The sections that have something to show."""
    parts = [
        Section("choices", "choices", "The effect of each choice", _choices(result)),
        Section("rates", "learning rates", "Sensitivity to the learning rate", _rates(result)),
        Section("curves", "curves", "Learning curves", _curves(result)),
        Section("why", "why", "Why they rank in this order", _why(result, inspection)),
        Section("mistakes", "mistakes", "The mistakes of the best network", _mistakes(inspection)),
        Section("sees", "inside", "Inside the best network", _sees(inspection)),
    ]
    return [section for section in parts if section.blocks]


def _pictures(*figures: tuple[str, str, "Figure | None"]) -> list[Picture]:
    return [Picture(name, label, figure) for name, label, figure in figures if figure is not None]


def _choices(result: "Result") -> list[Block]:
    effects = _pictures(("effects", "mean of each level", plot_effects(result)))
    if not effects:
        return []
    explained = (
        "The mean of each level in an additive model of the points that were trained, with its 95% "
        "interval; the best level of each factor is blue."
        if result.answer.sampled
        else "The mean of each level over the combinations that differ in nothing else, with its "
        "95% interval over seeds; the best level of each factor is blue."
    )
    blocks = [Block(explained, effects)]
    # One figure shows all levels of two factors; the sentence is about their largest contrast.
    largest: dict[tuple[str, str], Interaction] = {}
    for interaction in result.answer.interactions:
        largest.setdefault((interaction.factor, interaction.other), interaction)
    for i, interaction in enumerate(list(largest.values())[:MOST_INTERACTIONS], start=1):
        names = f"{interaction.factor} by {interaction.other}"
        pictures = _pictures((f"interaction{i}", names, plot_interaction(result, interaction)))
        sentence = interaction_sentence(interaction, result.metric)
        heading = f"Interaction of {names}".replace("_", " ")
        blocks.append(Block(sentence, pictures, heading))
    return blocks


def _rates(result: "Result") -> list[Block]:
    pictures = _pictures(
        ("learning-rates", "validation over learning rate", plot_sensitivity(result))
    )
    if not pictures:
        return []
    return [
        Block(
            "Validation at the end of training, by learning rate; the filled dot is the chosen "
            "rate. A combination that does well at many learning rates needs less tuning than one "
            "that does well at a single one. A line ends where a run diverged.",
            pictures,
        )
    ]


def _curves(result: "Result") -> list[Block]:
    rows = result.answer.rows
    shown = rows[:MOST_CURVES]
    metric = result.task_metric
    left = f" Only the {len(shown)} best are drawn." if len(rows) > len(shown) else ""
    pictures = [
        Picture(
            f"curve{i}", f"learning curve of {short_label(row.levels)}", plot_curves(result, row)
        )
        for i, row in enumerate(shown, start=1)
    ]
    return [
        Block(
            f"Validation {metric} per epoch (line: mean over seeds; band: from the worst seed to "
            f"the best), training {metric} (dotted), and the best combination's validation "
            f"{metric} for comparison (grey).{left}",
            pictures,
        )
    ]


def _why(result: "Result", inspection: "ModelInspection | None") -> list[Block]:
    blocks = _layer_blocks(result)
    if inspection is not None and inspection.gradients:
        figure = plot_gradients(inspection.gradients)
        blocks.append(
            Block(
                "The gradient at each layer before the first step, and the prediction of "
                "mean-field theory for these networks.",
                _pictures(("gradients", "gradient by layer, measured and predicted", figure)),
                "Measured and predicted",
            )
        )
    if inspection is not None:
        pictures = _pictures(("activations", "histograms", plot_samples(inspection)))
        if pictures:
            blocks.append(
                Block(
                    "The best network's activations, layer by layer, as it trains: values that "
                    "pile up at an end are saturated; a peak at 0 is what relu turns off.",
                    pictures,
                    "Its activations",
                )
            )
    return blocks


def _layer_blocks(result: "Result") -> list[Block]:
    """The table of causes, and the layers of the best and the worst combination."""
    rows = result.answer.rows
    cells = [
        (str(place), short_label(row.levels), *step_cells(steps))
        for place, row in enumerate(rows[:MOST_WHY], start=1)
        if (steps := result.why(row))
    ]
    if not cells:
        return []
    head = ("", "combination", "gradient left", "saturated", "dead", "verdict")
    blocks = [
        Block(
            "Measured during training, from the first measurement to the last: the gradient at the "
            "first layer divided by that at the last hidden layer, the share of elements where the "
            "activation is flat, and the share of units that are active for no example (in the "
            "layer with the largest share).",
            table=Table(head, cells),
        )
    ]
    for name, row in (("best", rows[0]), ("worst", rows[-1]))[: len(rows)]:
        title = f"{short_label(row.levels)}, learning rate {row.learning_rate:g}"
        history = result.history(row)
        figure = None if history is None else plot_layers(history)
        pictures = _pictures((f"layers-{name}", f"layers of {title}", figure))
        if pictures:
            blocks.append(Block("", pictures, f"The {name}: {title}"))
    return blocks


def _mistakes(inspection: "ModelInspection | None") -> list[Block]:
    if inspection is None or inspection.dataset.classes is None:
        return []
    targets = inspection.dataset.test_targets
    wrong, count = int((inspection.predicted != targets).sum()), len(targets)
    blocks = [
        Block(
            f"{short_label(inspection.row.levels)}, trained once more from seed "
            f"{inspection.seed}: {wrong} of {count} test examples are misclassified.",
            _pictures(("confusion", "confusion matrix", plot_confusion(inspection))),
        )
    ]
    pictures = _pictures(("mistakes", "the most confident mistakes", plot_confused(inspection)))
    if pictures:
        blocks.append(
            Block(
                "The most confident mistakes: the true class, the predicted class, and the "
                "predicted probability.",
                pictures,
                "The most confused pictures",
            )
        )
    return blocks


def _sees(inspection: "ModelInspection | None") -> list[Block]:
    if inspection is None:
        return []
    parts: list[tuple[str, str, Any]] = [
        (
            "An image on its way through the network",
            "One test image: the channels that vary most after each layer with its activation, and "
            "after each pooling.",
            ("stages", "feature maps", plot_stages(inspection)),
        ),
        (
            "Four poolings",
            "The same picture pooled in four ways, with 3x3 windows at stride 2: the maximum keeps "
            "edges and single bright points, the average blurs them, the L2 norm (divided by 3, "
            "since it sums over the window) lies between, and the weighted average keeps mostly "
            "the centre of its window.",
            ("poolings", "four poolings", plot_poolings(inspection)),
        ),
        (
            "First-layer filters",
            "The learned kernels of the first layer, from negative (black) to positive (white).",
            ("filters", "first-layer filters", plot_filters(inspection)),
        ),
    ]
    return [
        Block(text, pictures, heading)
        for heading, text, picture in parts
        if (pictures := _pictures(picture))
    ]
