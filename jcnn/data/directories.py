"""Where files of registered data sets are looked for."""

import os
from pathlib import Path

from jcnn.data.errors import DataError
from jcnn.data.fetch import cache_dir

SYSTEM_DIR = Path("/usr/share/datasets")


def given_places(data_dir: str | os.PathLike[str] | None) -> list[Path]:
    """The directories that the user names: `data_dir`, then `$JCNN_DATA`."""
    return [Path(place) for place in (data_dir, os.environ.get("JCNN_DATA")) if place]


def common_places() -> list[Path]:
    """The directories that many data sets share, one beside the other: the system's, the cache."""
    return [SYSTEM_DIR, cache_dir()]


def check_directories(data_dir: str | os.PathLike[str] | None) -> None:
    """Raise DataError where `data_dir` or `$JCNN_DATA` is given and is no directory."""
    for place, named in ((data_dir, ""), (os.environ.get("JCNN_DATA"), "JCNN_DATA=")):
        if place and not Path(place).is_dir():
            raise DataError(f"{named}{place}: no such directory of data")


def place_for(name: str, data_dir: str | os.PathLike[str] | None) -> str:
    """In words, where to put a file or folder called `name` so that it is found."""
    given = given_places(data_dir)
    return str(given[0] / name) if given else f"DIR/{name} and set JCNN_DATA=DIR"
