"""The places of real files, and small files made for a test."""

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

IDX_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """Finds a real file or folder, or skips the test with what is missing."""
    default = Path(__file__).parents[2].parent / "shared" / "data"
    root = Path(os.environ.get("JCNN_TEST_DATA", default))

    def find(name: str) -> Path:
        if not (root / name).exists():
            pytest.skip(f"{root / name} is missing; set JCNN_TEST_DATA to the folder of real data")
        return root / name

    return find


@pytest.fixture(autouse=True)
def no_data_from_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.delenv("JCNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr("jcnn.data.directories.SYSTEM_DIR", tmp_path_factory.mktemp("system"))


def idx_bytes(array: np.ndarray) -> bytes:
    """The IDX format, written from its description."""
    code = IDX_CODES[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def encode_idx() -> Callable[[np.ndarray], bytes]:
    return idx_bytes


@pytest.fixture
def write_idx_set() -> Callable[..., Path]:
    """Writes the four files of a tiny MNIST-like set into a folder."""

    def write(folder: Path, *, pack: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(0)
        for part, examples in (("train", 12), ("t10k", 5)):
            images = rng.integers(0, 256, (examples, 4, 4), dtype=np.uint8)
            labels = np.arange(examples, dtype=np.uint8) % 10
            for array, stem in ((images, "images-idx3-ubyte"), (labels, "labels-idx1-ubyte")):
                raw = idx_bytes(array)
                name = f"{part}-{stem}{'.gz' if pack else ''}"
                (folder / name).write_bytes(gzip.compress(raw) if pack else raw)
        return folder

    return write
