"""A study's report: one page with everything in it, that needs no network."""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn.analysis.text import apart_from_best, remarks
from jcnn.report.ranking import plot_ranking
from jcnn.report.sections import Picture, Section, sections
from jcnn.report.style import inline_svg, save
from jcnn.study.storage.atomic_files import write_whole
from jcnn.version import __version__

if TYPE_CHECKING:
    from jcnn.study import Result, Row
    from jcnn.study.look import Look

# How many times its own size a figure is shown where there is room.
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


def write_report(result: "Result", path: str | Path, look: "Look | None" = None) -> None:
    """Write a result as a page that stands alone: styles, figures and pictures are in it.

    `look` is what `jcnn.study.look_into` found; without it the page has no pictures of the
    network. Whatever names users gave are text there, never markup.

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
    >>> render(result).startswith("<!doctype html>"), "<table>" in notebook(result)
    (True, True)
    """
    write_whole(Path(path), render(result, look))


def render(result: "Result", look: "Look | None" = None) -> str:
    """The page as a string."""
    import jinja2

    parts = resources.files("jcnn.report") / "page"
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((parts / "report.html.j2").read_text(encoding="utf-8"))
    rows = result.ranking()
    found = sections(result, look)
    return template.render(
        style=(parts / "report.css").read_text(encoding="utf-8"),
        script=(parts / "report.js").read_text(encoding="utf-8"),
        mark=_mark(result, look is not None),
        title=_title(result),
        kicker=_kicker(result),
        headline=_headline(result, rows),
        answer=_answer(result, rows),
        ranking=_sized(Picture("ranking", "ranking", plot_ranking(result))) if rows else "",
        apart=apart_from_best(result) if rows else (),
        sentences=[_capital(one) for one in (*result.effects(), *result.interactions()[:3])],
        sections=[_drawn(section) for section in found],
        seeds=len(rows[0].values) if rows else 0,
        filters=_filters(result),
        columns=_columns(result, rows),
        rows=_lines(result, rows),
        notes=_notes(result, rows),
        command=_command(result),
        provenance=_provenance(result),
        study=_study(result),
    )


def shows(path: Path, result: "Result", *, pictures: bool = False) -> bool:
    """Whether the report at `path` is that of this result, and has the network's `pictures`."""
    known = [_mark(result, pictured) for pictured in ({True} if pictures else {True, False})]
    try:
        with path.open(encoding="utf-8") as file:
            head = file.read(2000)
    except (OSError, UnicodeDecodeError):
        return False
    return any(f'content="{mark}"' in head for mark in known)


def _mark(result: "Result", pictured: bool) -> str:
    told = f"{__version__} {pictured} {result.to_json(provenance=False)}"
    return hashlib.sha256(told.encode()).hexdigest()


def notebook(result: "Result") -> str:
    """The answer and the ranking as a fragment of markup, for notebooks."""
    import jinja2

    rows = result.ranking()
    environment = jinja2.Environment(autoescape=True)
    source = (
        "<p>{{ answer }}</p><table><thead><tr>{% for one in columns %}<th>{{ one.title }}</th>"
        "{% endfor %}</tr></thead><tbody>{% for row in rows %}<tr>{% for cell in row %}"
        "<td>{{ cell.text }}</td>{% endfor %}</tr>{% endfor %}</tbody></table>"
    )
    return environment.from_string(source).render(
        answer=_answer(result, rows), columns=_columns(result, rows), rows=_lines(result, rows)
    )


def write_figures(
    result: "Result", folder: str | Path, look: "Look | None" = None, *, kind: str = "svg"
) -> list[Path]:
    """Write every figure of the report to a folder, as "svg", "png" or "pdf"; the files."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for picture in (Picture("ranking", "ranking", plot_ranking(result)), *_all(result, look)):
        path = folder / f"{picture.name}.{kind}"
        save(picture.figure, path)
        written.append(path)
    return written


def _all(result: "Result", look: "Look | None") -> Iterator[Picture]:
    for section in sections(result, look):
        for block in section.blocks:
            yield from block.pictures


def _drawn(section: Section) -> dict[str, Any]:
    blocks = [
        block._asdict() | {"figures": [_sized(picture) for picture in block.pictures]}
        for block in section.blocks
    ]
    return section._asdict() | {"blocks": blocks}


def _sized(picture: Picture) -> str:
    """The figure as SVG, no wider than its words stay in measure with those of the page."""
    svg = inline_svg(picture.figure, picture.label)
    width = picture.figure.get_figwidth() * 96 * _LARGER
    return svg.replace("<svg", f'<svg style="max-width: {width:.0f}px"', 1)


def _title(result: "Result") -> str:
    data, model = result.study.get("data", "data"), result.study.get("model", "model")
    varied = [factor.replace("_", " ") for factor in result.varied()]
    if not varied:
        return f"{model} on {data}"
    listed = varied[0] if len(varied) == 1 else f"{', '.join(varied[:-1])} and {varied[-1]}"
    return f"Which {listed} for {model} on {data}?"


def _kicker(result: "Result") -> str:
    count, runs = len(result.combinations), len(result.records)
    epochs = result.study.get("epochs")
    trained = f", {epochs} epochs each" if epochs else ""
    return f"jcnn: {runs} trainings of {count} combination{'s' * (count != 1)}{trained}"


def _headline(result: "Result", rows: "list[Row]") -> str:
    if not rows or not math.isfinite(rows[0].mean):
        return ""
    show, row = result.measure, rows[0]
    interval = show.show_interval(row.interval)
    reached = f"{show.title} {show.show(row.mean)}" + (f" {interval}" if interval else "")
    return f"{', '.join(row.levels.values()) or 'The only combination'}: {reached}"


def _answer(result: "Result", rows: "list[Row]") -> str:
    words = result.verdict()
    if not rows:
        return "No combination could be trained to the end."
    return f"{_capital(words)}." if words else ""


def _capital(words: str) -> str:
    """A sentence's first letter is large where it begins a word of ours, not a user's name."""
    return re.sub(r"^not enough", "Not enough", words)


def _filters(result: "Result") -> list[dict[str, Any]]:
    factors = list(result.combinations[0]) if result.combinations else []
    return [
        {
            "title": factor.replace("_", " "),
            "column": factors.index(factor) + 2,
            "levels": list(dict.fromkeys(levels[factor] for levels in result.combinations)),
        }
        for factor in result.varied()
    ]


def _columns(result: "Result", rows: "list[Row]") -> list[dict[str, str]]:
    names = list(result.combinations[0]) if result.combinations else []
    found = [("", "number"), (result.measure.title, "number")]
    found += [(name.replace("_", " "), "level") for name in names]
    found += [
        ("95% interval", "number minor"),
        ("spread", "number minor"),
        ("rate", "number"),
        ("rates that work", "number minor"),
    ]
    if any(row.diverged for row in rows):
        found.append(("diverged", "number minor"))
    return [{"title": title or "place", "kind": kind} for title, kind in found]


def _lines(result: "Result", rows: "list[Row]") -> list[list[dict[str, Any]]]:
    show = result.measure
    lines = []
    for place, row in enumerate(rows, start=1):
        line = [_cell(str(place), place), _cell(show.show(row.mean), row.mean)]
        line += [_cell(level, None) for level in row.levels.values()]
        line += [
            _cell(show.show_interval(row.interval), row.interval.low),
            _cell(show.show(row.std), row.std),
            _cell(f"{row.learning_rate:g}{'*' if row.at_edge else ''}", row.learning_rate),
            _cell(f"{len(row.working)} of {len(row.by_rate)}", len(row.working)),
        ]
        if any(one.diverged for one in rows):
            line.append(_cell(f"{row.diverged} of {row.runs}", row.diverged))
        lines.append(line)
    return lines


def _cell(text: str, sort: float | int | None) -> dict[str, Any]:
    if sort is None:
        return {"text": text, "sort": None}
    return {"text": text, "sort": repr(float(sort)) if math.isfinite(sort) else ""}


def _notes(result: "Result", rows: "list[Row]") -> list[str]:
    found = remarks(result, rows)
    for index, reason in result.failures.items():
        levels = " ".join(result.combinations[index].values()) or "the only combination"
        found.append(f"{levels} could not be trained: {reason}")
    return [*found, *result.notes]


def _command(result: "Result") -> str:
    command = str(result.environment.get("command", ""))
    return command if command.startswith("jcnn ") else ""


def _provenance(result: "Result") -> list[tuple[str, str]]:
    ran: Mapping[str, Any] = result.environment
    found = [("data", str(result.study.get("data", ""))), ("model", str(result.study["model"]))]
    if isinstance(ran.get("seconds"), (int, float)):
        found.append(("time", f"{ran['seconds']:.0f} s"))
    compiled = ran.get("compilations")
    if isinstance(compiled, Mapping) and "compiled" in compiled:
        found.append(
            (
                "programs",
                f"{compiled['compiled']} compiled, {compiled.get('loaded', 0)} from the cache",
            )
        )
    return found + [(name, str(ran[key])) for key, name in _PROVENANCE.items() if key in ran]


def _study(result: "Result") -> str:
    import tomli_w

    return tomli_w.dumps(dict(result.study))
