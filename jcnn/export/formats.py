"""The formats of a trained network's file, by its ending."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jcnn.arguments import is_integer
from jcnn.errors import UsageError
from jcnn.export.network import Network
from jcnn.export.onnx.model import to_onnx
from jcnn.export.stablehlo import to_stablehlo
from jcnn.export.weight_files import save_orbax, to_safetensors

FORMATS = ("safetensors", "orbax", "stablehlo", "onnx")


def write(network: Network, path: Path, batch: Any = None) -> Path:
    """Write a file, whole or not at all; an existing one of the same name is replaced."""
    kind = path.suffix.removeprefix(".")
    if kind not in FORMATS:
        endings = ", ".join(f".{each}" for each in FORMATS)
        raise UsageError(f"{path}: the ending says the format; expected one of {endings}")
    if batch is not None:
        if kind in ("safetensors", "orbax"):
            raise UsageError(f"batch={batch}: a .{kind} file has weights alone, for any batch")
        if not is_integer(batch) or batch < 1:
            raise UsageError(f"batch={batch!r}; expected a whole number of inputs, at least 1")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: {path.parent} is not a directory")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        if kind == "orbax":
            save_orbax(network, temporary)
        else:
            temporary.write_bytes(_content(network, kind, batch))
        if kind == "orbax" and path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a file; choose another name for the folder")
        if path.is_dir() and not path.is_symlink():
            if kind != "orbax" or not (path / "about.json").exists():
                raise UsageError(f"{path} is a folder of something else; choose another name")
            shutil.rmtree(path)
        os.replace(temporary, path)
    return path


def _content(network: Network, kind: str, batch: int | None) -> bytes:
    makers: dict[str, Callable[[], bytes]] = {
        "safetensors": lambda: to_safetensors(network),
        "stablehlo": lambda: to_stablehlo(network, batch),
        "onnx": lambda: to_onnx(network, batch).SerializeToString(),
    }
    return makers[kind]()
