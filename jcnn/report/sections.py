"""What a report says, section by section: headings, words and figures, no markup."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from jcnn.analysis.interactions import Interaction, interactions, sentence
from jcnn.analysis.text import spelled, why_cells
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

    from jcnn.study import Result
    from jcnn.study.look import Look

# How many combinations have curves of their own, and a line in the table of why.
MOST_CURVES, MOST_WHY, MOST_INTERACTIONS = 24, 40, 3


class Picture(NamedTuple):
    """A figure, the name of its file, and what it shows in a few words."""

    name: str
    label: str
    figure: "Figure"


class Table(NamedTuple):
    """A table's head and lines."""

    head: Sequence[str]
    lines: Sequence[Sequence[str]]


class Block(NamedTuple):
    """A heading, a sentence, and what it is about: figures side by side, or a table."""

    text: str
    pictures: Sequence[Picture] = ()
    heading: str = ""
    table: Table | None = None


class Section(NamedTuple):
    """One part of a report; `id` is its anchor, `short` its name in the list of sections."""

    id: str
    short: str
    title: str
    blocks: Sequence[Block]


def sections(result: "Result", look: "Look | None") -> list[Section]:
    """Every section that has something to show."""
    found = [
        Section("choices", "choices", "What each choice is worth", _choices(result)),
        Section("rates", "learning rates", "How much the learning rate matters", _rates(result)),
        Section("curves", "curves", "How they learn", _curves(result)),
        Section("why", "why", "Why they rank as they do", _why(result, look)),
        Section("mistakes", "mistakes", "What the best one gets wrong", _mistakes(look)),
        Section("sees", "inside", "What the best one sees", _sees(look)),
    ]
    return [section for section in found if section.blocks]


def _pictures(*found: tuple[str, str, "Figure | None"]) -> list[Picture]:
    return [Picture(name, label, figure) for name, label, figure in found if figure is not None]


def _choices(result: "Result") -> list[Block]:
    effects = _pictures(("effects", "mean of each level", plot_effects(result)))
    if not effects:
        return []
    blocks = [
        Block(
            "Each level's mean over the combinations that differ in nothing else, with its 95% "
            "interval over seeds; blue is the best of its factor.",
            effects,
        )
    ]
    # One figure shows all that two factors do together; the largest contrast is put in words.
    real = interactions(result) if result.measure.tested else []
    largest: dict[tuple[str, str], Interaction] = {}
    for one in real:
        largest.setdefault((one.factor, one.other), one)
    for i, one in enumerate(list(largest.values())[:MOST_INTERACTIONS]):
        picture = (
            f"interaction{i + 1}",
            f"{one.factor} by {one.other}",
            plot_interaction(result, one),
        )
        words = f"It depends: {one.factor} by {one.other}".replace("_", " ")
        blocks.append(Block(f"{sentence(result, one)}.", _pictures(picture), words))
    return blocks


def _rates(result: "Result") -> list[Block]:
    pictures = _pictures(
        ("learning-rates", "validation over learning rate", plot_sensitivity(result))
    )
    if not pictures:
        return []
    return [
        Block(
            "Validation at the end of training, by learning rate; a filled dot is the rate that "
            "was chosen. A combination that does well at many rates asks for less tuning than one "
            "that does well at one. A line ends where a run diverged.",
            pictures,
        )
    ]


def _curves(result: "Result") -> list[Block]:
    rows = [row for row in result.ranking() if row.combination not in result.failures]
    shown = rows[:MOST_CURVES]
    metric = result.metric
    left = f" The {len(shown)} best are drawn." if len(rows) > len(shown) else ""
    pictures = [
        Picture(f"curve{i + 1}", f"learning curve of {spelled(row)}", plot_curves(result, row))
        for i, row in enumerate(shown)
    ]
    return [
        Block(
            f"Validation {metric} by epoch (line: mean over seeds; band: from the worst seed to "
            f"the best), training {metric} (dotted), and the best combination's validation for "
            f"comparison (grey).{left}",
            pictures,
        )
    ]


def _why(result: "Result", look: "Look | None") -> list[Block]:
    rows = result.ranking()
    lines = [
        (str(place), spelled(row), *why_cells(why))
        for place, row in enumerate(rows[:MOST_WHY], start=1)
        if (why := result.why(row))
    ]
    blocks = []
    if lines:
        head = ("", "combination", "gradient left", "saturated", "dead", "what is wrong")
        blocks.append(
            Block(
                "Measured inside the training step, from the first measurement to the last: the "
                "gradient at the first layer over that at the last hidden one, elements where the "
                "activation is flat, units active for no example (in the layer that has most).",
                table=Table(head, lines),
            )
        )
        for name, row in (("best", rows[0]), ("worst", rows[-1]))[: len(rows)]:
            title = f"{spelled(row)}, learning rate {row.learning_rate:g}"
            history = result.history(row)
            figure = None if history is None else plot_layers(history)
            pictures = _pictures((f"layers-{name}", f"layers of {title}", figure))
            if pictures:
                blocks.append(Block("", pictures, f"The {name}: {title}"))
    if look is not None and look.flows:
        figure = plot_gradients(look.flows)
        blocks.append(
            Block(
                "How far the gradient comes before the first step, and what mean-field theory "
                "expects of these networks.",
                _pictures(("gradients", "gradient by layer, measured and predicted", figure)),
                "Measured and predicted",
            )
        )
    if look is not None:
        pictures = _pictures(("activations", "histograms", plot_samples(look.portrait)))
        if pictures:
            blocks.append(
                Block(
                    "The best network's activations, layer by layer, as it trains: values that "
                    "pile up at an end are saturated, a peak at 0 is what relu turns off.",
                    pictures,
                    "What its activations do",
                )
            )
    return blocks


def _mistakes(look: "Look | None") -> list[Block]:
    if look is None or look.portrait.dataset.classes is None:
        return []
    one = look.portrait
    wrong = int((one.predicted != one.dataset.test_targets).sum())
    count = len(one.dataset.test_targets)
    blocks = [
        Block(
            f"{spelled(one.row)}, trained once more from seed {one.seed}: {wrong} of {count} test "
            "examples are taken for something else.",
            _pictures(("confusion", "confusion matrix", plot_confusion(one))),
        )
    ]
    pictures = _pictures(("mistakes", "the surest mistakes", plot_confused(one)))
    if pictures:
        blocks.append(
            Block(
                "The mistakes it was surest of: what the picture is, what it was taken for, and "
                "how sure of that the network was.",
                pictures,
                "The most confused pictures",
            )
        )
    return blocks


def _sees(look: "Look | None") -> list[Block]:
    if look is None:
        return []
    one = look.portrait
    told: list[tuple[str, str, Any]] = [
        (
            "What an image becomes",
            "One test image on its way through the network: the channels that vary most after "
            "each layer with its activation, and after each pooling.",
            ("stages", "feature maps", plot_stages(one)),
        ),
        (
            "What pooling keeps",
            "The same picture pooled four ways, in windows of 3x3, two apart: the maximum keeps "
            "edges and single bright points, the average blurs them, the L2 norm (a third of it, "
            "since it sums) lies between, and the weighted average keeps most of what is in the "
            "middle of its window.",
            ("poolings", "four poolings", plot_poolings(one)),
        ),
        (
            "What the first layer looks for",
            "Its learned kernels, from negative (black) to positive (white).",
            ("filters", "first-layer filters", plot_filters(one)),
        ),
    ]
    blocks = []
    for heading, text, picture in told:
        pictures = _pictures(picture)
        if pictures:
            blocks.append(Block(text, pictures, heading))
    return blocks
