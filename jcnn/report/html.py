"""A study's report: one self-contained HTML page."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn.analysis.labels import join_names, short_label
from jcnn.analysis.table import Cell, ranking_table
from jcnn.analysis.text import seed_counts
from jcnn.report.ranking import plot_ranking
from jcnn.report.sections import Picture, Section, sections
from jcnn.report.style import inline_svg, save
from jcnn.study.storage.atomic_files import write_atomic
from jcnn.version import __version__

if TYPE_CHECKING:
    from jcnn.analysis import Result
    from jcnn.study.inspect_model import ModelInspection

# The largest scale at which a figure is shown, if there is room.
_LARGER = 1.45
_PROVENANCE = {
    "device": "device",
    "platform": "system",
    "python": "Python",
    "jcnn": "jcnn",
    "jax": "jax",
    "flax": "flax",
    "optax": "optax",
    "numpy": "numpy",
}


def write_report(
    result: "Result", path: str | Path, inspection: "ModelInspection | None" = None
) -> None:
    """Write a result as one self-contained page, with styles, figures and pictures inside.

    `inspection` is what `jcnn.study.inspect_model` returns; without it the page has no pictures of
    the network. Names that users chose are escaped.

    >>> import jcnn
    >>> factors, rates = {"hidden": [(8,), (16,)]}, [0.1, 0.3]
    >>> study = jcnn.Study(model="mlp", factors=factors, learning_rates=rates, seeds=2, epochs=1)
    >>> result = study.run()
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(result, pathlib.Path(folder, "report.html"))
    ...     shows(pathlib.Path(folder, "report.html"), result)
    ...     len(write_figures(result, folder))
    True
    5
    >>> render(result).startswith("<!doctype html>")
    True
    """
    write_atomic(Path(path), render(result, inspection))


def render(result: "Result", inspection: "ModelInspection | None" = None) -> str:
    """The page as a string."""
    import jinja2

    parts = resources.files("jcnn.report") / "page"
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((parts / "report.html.j2").read_text(encoding="utf-8"))
    answer = result.answer
    table = ranking_table(answer)
    return template.render(
        style=(parts / "report.css").read_text(encoding="utf-8"),
        script=(parts / "report.js").read_text(encoding="utf-8"),
        mark=_mark(result, inspection is not None),
        title=_title(result),
        kicker=_kicker(result),
        headline=_headline(result),
        answer=_sentence(result),
        ranking=_sized(Picture("ranking", "ranking", plot_ranking(result))) if answer.rows else "",
        some_ruled_out=bool(answer.ruled_out),
        bound=answer.bound > 0,
        sentences=answer.effect_sentences,
        sections=[_drawn(section) for section in sections(result, inspection)],
        several_seeds=max((len(row.values) for row in answer.rows), default=0) > 1,
        seeds=seed_counts(answer.rows),
        filters=_filters(result),
        columns=table.columns,
        rows=[[(cell.text, _sort_key(cell)) for cell in row] for row in table.rows],
        notes=_notes(result),
        command=_command(result),
        provenance=_provenance(result),
        study=_study(result),
    )


def shows(path: Path, result: "Result", *, pictures: bool = False) -> bool:
    """Whether `path` is the report of this result, with `pictures` of the network if asked for."""
    marks = [_mark(result, pictured) for pictured in ({True} if pictures else {True, False})]
    try:
        with path.open(encoding="utf-8") as file:
            head = file.read(2000)
    except (OSError, UnicodeDecodeError):
        return False
    return any(f'content="{mark}"' in head for mark in marks)


def _mark(result: "Result", pictured: bool) -> str:
    content = f"{__version__} {pictured} {result.to_json(provenance=False)}"
    return hashlib.sha256(content.encode()).hexdigest()


def write_figures(
    result: "Result",
    folder: str | Path,
    inspection: "ModelInspection | None" = None,
    *,
    kind: str = "svg",
) -> list[Path]:
    """Write every figure of the report to a folder as "svg", "png" or "pdf"; return the paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for picture in (Picture("ranking", "ranking", plot_ranking(result)), *_all(result, inspection)):
        path = folder / f"{picture.name}.{kind}"
        save(picture.figure, path)
        written.append(path)
    return written


def _all(result: "Result", inspection: "ModelInspection | None") -> Iterator[Picture]:
    for section in sections(result, inspection):
        for block in section.blocks:
            yield from block.pictures


def _drawn(section: Section) -> dict[str, Any]:
    blocks = [
        block._asdict() | {"figures": [_sized(picture) for picture in block.pictures]}
        for block in section.blocks
    ]
    return section._asdict() | {"blocks": blocks}


def _sized(picture: Picture) -> str:
    """The figure as SVG, scaled at most so far that its text matches the text of the page."""
    svg = inline_svg(picture.figure, picture.label)
    width = picture.figure.get_figwidth() * 96 * _LARGER
    return svg.replace("<svg", f'<svg style="max-width: {width:.0f}px"', 1)


def _title(result: "Result") -> str:
    data, model = result.study.get("data", "data"), result.study.get("model", "model")
    factors = [factor.replace("_", " ") for factor in result.answer.factors]
    if not factors:
        return f"{model} on {data}"
    return f"Which {join_names(factors, len(factors))} for {model} on {data}?"


def _kicker(result: "Result") -> str:
    count, runs = len(result.combinations), len(result.records)
    epochs = result.study.get("epochs")
    trained = f", {epochs} epochs each" if epochs else ""
    return f"jcnn: {runs} trainings of {count} combination{'s' * (count != 1)}{trained}"


def _headline(result: "Result") -> str:
    rows = result.answer.rows
    if not rows or not math.isfinite(rows[0].mean):
        return ""
    metric, row = result.metric, rows[0]
    interval = metric.show_interval(row.interval)
    reached = f"{metric.title} {metric.show(row.mean)}" + (f" {interval}" if interval else "")
    return f"{', '.join(row.levels.values()) or 'The only combination'}: {reached}"


def _sentence(result: "Result") -> str:
    """The verdict and what more seeds would buy, or that there is nothing to say."""
    if not result.answer.rows:
        return "No combination could be trained to the end."
    return " ".join(filter(None, [result.answer.verdict, result.answer.outlook]))


def _filters(result: "Result") -> list[dict[str, Any]]:
    """A choice of levels per varied factor; `column` is the factor's place in the ranking table."""
    factors = list(result.combinations[0]) if result.combinations else []
    return [
        {
            "title": factor.replace("_", " "),
            "column": factors.index(factor) + 2,
            "levels": list(dict.fromkeys(levels[factor] for levels in result.combinations)),
        }
        for factor in result.answer.factors
    ]


def _sort_key(cell: Cell) -> str | None:
    """The text by which a script sorts a cell: empty for NaN, None for words."""
    if cell.sort is None:
        return None
    return "" if math.isnan(cell.sort) else repr(cell.sort)


def _notes(result: "Result") -> list[str]:
    failures = [
        f"{short_label(result.combinations[index])} could not be trained: {reason}"
        for index, reason in result.failures.items()
    ]
    return [*result.answer.remarks, *failures, *result.notes]


def _command(result: "Result") -> str:
    command = str(result.environment.get("command", ""))
    return command if command.startswith("jcnn ") else ""


def _provenance(result: "Result") -> list[tuple[str, str]]:
    ran: Mapping[str, Any] = result.environment
    lines = [("data", str(result.study.get("data", ""))), ("model", str(result.study["model"]))]
    if isinstance(ran.get("seconds"), (int, float)):
        lines.append(("time", f"{ran['seconds']:.0f} s"))
    compiled = ran.get("compilations")
    if isinstance(compiled, Mapping) and "compiled" in compiled:
        lines.append(
            ("programs", f"{compiled['compiled']} compiled, {compiled.get('loaded', 0)} loaded")
        )
    return lines + [(name, str(ran[key])) for key, name in _PROVENANCE.items() if key in ran]


def _study(result: "Result") -> str:
    import tomli_w

    return tomli_w.dumps(dict(result.study))
