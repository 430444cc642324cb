"""Two stored results of the same benchmarks: which became slower or faster."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jcnn.bench.own.intervals import Ratio, unpaired_ratio
from jcnn.errors import UsageError


@dataclass(frozen=True)
class Change:
    """The ratio of a benchmark's time after a change over that before."""

    name: str
    ratio: Ratio

    @property
    def verdict(self) -> str:
        """Either "slower", "faster" or "no difference seen"."""
        if not self.ratio.differs:
            return "no difference seen"
        return "slower" if self.ratio.low > 1 else "faster"


def compare(before: str | Path, after: str | Path) -> list[Change]:
    """Return the change of each benchmark that two files have in common.

    The files are those of `jcnn bench --out`, or of pytest-benchmark with
    `--benchmark-save-data`. Functions are compared by `unpaired_ratio` of their samples.

    Raises UsageError if a file cannot be read, or nothing is in both.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, seconds in (("a.json", [1.0] * 20), ("b.json", [1.5] * 20)):
    ...         content = {"functions": [{"name": "mine:f", "seconds": seconds}]}
    ...         _ = Path(folder, name).write_text(json.dumps(content))
    ...     (change,) = compare(Path(folder, "a.json"), Path(folder, "b.json"))
    >>> change.verdict
    'slower'
    """
    first, second = samples_of(before), samples_of(after)
    common = [name for name in second if name in first]
    if not common:
        raise UsageError(
            f"{before} and {after} have no benchmark in common: {', '.join(first) or 'none'}; "
            f"{', '.join(second) or 'none'}"
        )
    return [Change(name, unpaired_ratio(second[name], first[name])) for name in common]


def samples_of(path: str | Path) -> dict[str, list[float]]:
    """Return the seconds per call by benchmark that a file holds."""
    try:
        content: Any = json.loads(Path(path).read_text())
        if "benchmarks" in content:
            return {each["fullname"]: each["stats"]["data"] for each in content["benchmarks"]}
        return {each["name"]: each["seconds"] for each in content["functions"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"{path}: no samples of benchmarks ({reason}); expected the JSON of `jcnn bench "
            "module:function --out`, or of pytest-benchmark with --benchmark-save-data"
        ) from None
