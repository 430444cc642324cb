"""The directories in which files of registered data sets are searched."""

import os
from pathlib import Path

from jcnn.data.errors import DataError
from jcnn.data.fetch import cache_dir

SYSTEM_DIR = Path("/usr/share/datasets")


def given_places(data_dir: str | os.PathLike[str] | None) -> list[Path]:
    """Return the directories that the user names: `data_dir`, then `$JCNN_DATA`."""
    return [Path(place) for place in (data_dir, os.environ.get("JCNN_DATA")) if place]


def common_places() -> list[Path]:
    """Return the directories that data sets share: the system's, then the cache."""
    return [SYSTEM_DIR, cache_dir()]


def check_directories(data_dir: str | os.PathLike[str] | None) -> None:
    """Raise DataError if `data_dir` or `$JCNN_DATA` is given but is not a directory."""
    for place, named in ((data_dir, ""), (os.environ.get("JCNN_DATA"), "JCNN_DATA=")):
        if place and not Path(place).is_dir():
            raise DataError(f"{named}{place}: no such directory of data")


def place_for(name: str, data_dir: str | os.PathLike[str] | None) -> str:
    """Return, in words, where to put a file or folder called `name`."""
    places = given_places(data_dir)
    return str(places[0] / name) if places else f"DIR/{name} and set JCNN_DATA=DIR"
