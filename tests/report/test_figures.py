"""Figures show what the numbers say, take any name, and exist only where there is something."""

import io

import numpy as np
import pytest

import jcnn
from jcnn import report
from jcnn.report.style import inline_svg, shortened, spread
from jcnn.study import Study, inspect_model


def svg_of(figure):
    file = io.StringIO()
    figure.savefig(file, format="svg")
    return inline_svg(figure, "a figure")


def words_of(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def ticks_of(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_the_ranking_has_every_combination_in_order_with_its_number(result):
    figure = report.plot_ranking(result)
    rows = result.ranking()
    assert ticks_of(figure.axes[0]) == [", ".join(row.levels.values()) for row in rows]
    assert words_of(figure) == [f"{100 * row.mean:.2f}%" for row in rows]


def test_the_ranking_draws_what_is_apart_from_the_best_in_grey(made):
    figure = report.plot_ranking(made({"width": ["8", "16", "32"]}))
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [dot.get_color() for dot in dots] == [
        report.style.BLUE,
        report.style.GREY,
        report.style.GREY,
    ]


def test_the_ranking_is_cut_and_says_so(made):
    figure = report.plot_ranking(made({"width": [str(i) for i in range(30)]}, gain=0.01), most=12)
    assert len(ticks_of(figure.axes[0])) == 12
    assert "18 more below" in figure.axes[0].get_xlabel()


def test_what_is_far_behind_stands_at_the_border(made):
    far = made({"width": ["1", "2", "3", "4"]}, gain=0.001)
    for record in far.records:
        if record.combination == 0:
            record.outcome.test["accuracy"] = 0.1
    axes = report.plot_ranking(far).axes[0]
    low, _ = axes.get_xlim()
    assert low > 0.4
    assert [line.get_marker() for line in axes.lines].count("<") == 1
    assert "10.00%" in words_of(axes.figure)


def test_effects_are_means_over_the_other_factors(result):
    figure = report.plot_effects(result)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["activation", "normalization"]
    rows = result.ranking()
    for axes, factor in zip(figure.axes, ("activation", "normalization"), strict=True):
        for name, shown in zip(ticks_of(axes), [t.get_text() for t in axes.texts], strict=True):
            mean = np.mean([row.mean for row in rows if row.levels[factor] == name])
            assert shown == f"{100 * mean:.2f}%"


def test_nothing_is_drawn_where_there_is_nothing_to_compare(made):
    one = made({"width": ["8"]}, rates=(0.1,))
    assert report.plot_effects(one) is None
    assert report.plot_sensitivity(one) is None


def test_sensitivity_shows_every_rate_and_fills_the_chosen_one(made):
    axes = report.plot_sensitivity(made({"width": ["8", "16"]}, rates=(0.3, 0.1, 0.01))).axes[0]
    filled = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in filled] == [0.3, 0.3]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.01", "0.1", "0.3"]


def test_curves_end_where_a_run_diverged(made):
    found = made({"width": ["8", "16"]}, seeds=2)
    for record in found.records:
        if record.combination == 0:
            for curve in record.outcome.curves.values():
                curve[4:] = [float("nan")] * len(curve[4:])
    row = next(row for row in found.ranking() if row.combination == 0)
    axes = report.plot_curves(found, row).axes[0]
    drawn = axes.lines[-1].get_ydata()
    assert np.isfinite(drawn[:4]).all()
    assert np.isnan(drawn[4:]).all()


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "$x_1$", "a & b", "ü" * 90, "'\"\\"])
def test_names_are_words_not_markup_or_formulas(made, name):
    found = made({"activation": [name, "relu"], "pooling": ["max", "avg"]}, gain=0.05)
    row = next(row for row in found.ranking() if name in row.levels.values())
    figures = [
        report.plot_ranking(found),
        report.plot_effects(found),
        report.plot_sensitivity(found),
        report.plot_curves(found, row),
    ]
    for figure in figures:
        svg = svg_of(figure)
        assert "<script" not in svg
        assert "&lt;script" in svg or "script" not in name


def test_colours_of_a_page_are_its_own(made):
    svg = svg_of(report.plot_ranking(made({"width": ["8", "16"]})))
    assert "var(--blue)" in svg
    assert report.style.BLUE not in svg
    assert "DejaVu" not in svg
    assert 'aria-label="a figure"' in svg


def test_labels_that_would_cover_each_other_move_apart():
    heights = spread([0.0, 0.01, 5.0], 1.0)
    assert sorted(heights) == heights
    assert min(np.diff(heights)) >= 1.0 - 1e-6
    assert heights[2] == 5.0


def test_long_names_lose_their_middle():
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 10) == "abcdef…ijk"


def test_pictures_of_the_network(inspection):
    one = inspection
    for plot in (
        report.plot_confusion,
        report.plot_confused,
        report.plot_filters,
        report.plot_stages,
        report.plot_poolings,
        report.plot_samples,
    ):
        assert svg_of(plot(one)).startswith("<svg")


def test_pooling_pictures_are_poolings_of_the_image(inspection):
    one = inspection
    figure = report.plot_poolings(one)
    grey = one.stages[0].values.astype(np.float32).mean(axis=-1)
    drawn = [image.get_array() for image in figure.axes[0].images]
    columns = 1 + min(4, one.stages[1].values.shape[-1])
    low, reach = grey.min(), grey.max() - grey.min()
    padded = np.pad(grey, ((0, 1), (0, 1)))  # SAME: 8 positions become 4

    def pooled(reduce):
        places = range(0, 8, 2)
        return np.array([[reduce(padded[i : i + 3, j : j + 3]) for j in places] for i in places])

    weights = jcnn.pooling.gaussian_weights((3, 3))
    assert len(drawn) == 5 * columns
    expected = (
        grey,
        pooled(np.max),
        pooled(np.mean),
        pooled(lambda window: np.sqrt((window**2).sum()) / 3),
        pooled(lambda window: (weights * window).sum()),
    )
    for place, values in enumerate(expected):
        np.testing.assert_allclose(drawn[place], np.clip((values - low) / reach, 0, 1), atol=1e-5)


def test_gradients_measured_and_predicted(inspection):
    axes = report.plot_gradients(inspection.gradients).axes[0]
    name, (diagnosis, prediction) = next(iter(inspection.gradients.items()))
    np.testing.assert_allclose(
        axes.lines[0].get_ydata(), [layer.gradient for layer in diagnosis.layers]
    )
    np.testing.assert_allclose(axes.lines[1].get_ydata(), prediction.gradient)
    assert words_of(axes.figure)[0] == shortened(name, 26)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits-rotated", "moving-digits"])
def test_other_tasks_and_shapes(data):
    study = Study(
        data=data, model="lenet", factors={"features": [(4,)]}, learning_rates=[0.03], seeds=1,
        epochs=1,
    )  # fmt: skip
    result = study.run()
    inspection = inspect_model(study, result)
    page = report.render(result, inspection)
    assert ("The mistakes of the best network" in page) == (data == "moving-digits")


def test_inputs_without_an_image_have_no_pictures():
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(80, 16)).astype(np.float32), rng.integers(0, 2, 80))
    study = Study(data=data, model="mlp", factors={}, learning_rates=[0.1], seeds=1, epochs=1,
                  batch_size=16)  # fmt: skip
    result = study.run()
    one = inspect_model(study, result)
    for plot in (report.plot_confused, report.plot_filters, report.plot_stages):
        assert plot(one) is None
    assert jcnn.report.plot_confusion(one) is not None
