"""IDX files: what is right is read exactly, what is wrong is one clear error."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jcnn.data import DataError, load, read_idx
from tests.data.ids import by_message

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (2, 1, 3, 2)])
@pytest.mark.parametrize("pack", [False, True])
def test_idx_round_trip(
    dtype: str, shape: tuple[int, ...], pack: bool, tmp_path: Path, encode_idx: Callable
) -> None:
    array = (RNG.normal(size=shape) * 50).astype(dtype)
    raw = encode_idx(array)
    (tmp_path / "a").write_bytes(gzip.compress(raw) if pack else raw)
    result = read_idx(tmp_path / "a")
    assert result.dtype == array.dtype
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, array)


IDX = b"\0\0\x08\2\0\0\0\3\0\0\0\2abcdef"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "magic number is truncated"),
        (b"\0\0\x08", "magic number is truncated"),
        (b"PK\3\4" + IDX, "magic number is 504b0304"),
        (b"\0\0\x0a\1" + IDX[4:], "magic number is 00000a01"),
        (b"\0\0\x08\0" + IDX[4:], "number of dimensions is 0"),
        (b"\0\0\x08\xff" + IDX[4:], "number of dimensions is 255"),
        (IDX[:9], "sizes are truncated"),
        (IDX[:-1], r"sizes \(3, 2\) need 6 bytes of elements, but the file holds at most 5"),
        (IDX + b"x", "the file continues"),
        (b"\0\0\x08\2\0\0\0\0\0\0\0\2", r"sizes are \(0, 2\)"),
        (b"\0\0\x08\2\xff\xff\xff\xff\0\0\0\3", "more than the limit of"),
        (b"\0\0\x08\2\0\1\0\0\0\1\0\0abc", "holds at most 3"),
        (gzip.compress(IDX[:-1]), "holds 5"),
        (gzip.compress(IDX + b"x"), "the file continues"),
        (gzip.compress(IDX)[:-9], "not a readable IDX file"),
        (gzip.compress(IDX)[:-5] + b"12345", "CRC"),
        (gzip.compress(b"\0\0\x08\2\0\1\0\0\0\1\0\0abc"), "holds at most"),
    ],
    ids=by_message,
)
def test_an_error_names_the_idx_file_and_field(raw: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad-idx").write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(tmp_path / "bad-idx")
    assert "bad-idx: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_idx_path_and_limit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such IDX file"):
        read_idx(tmp_path / "none")
    with pytest.raises(DataError, match="not a file"):
        read_idx(tmp_path)
    (tmp_path / "a").write_bytes(IDX)
    with pytest.raises(DataError, match="would take 6 bytes, more than the limit of 5"):
        read_idx(tmp_path / "a", max_bytes=5)
    assert read_idx(tmp_path / "a", max_bytes=6).tobytes() == b"abcdef"


def test_real_fashion_mnist(real_data: Callable[[str], Path]) -> None:
    data = load("fashion-mnist", data_dir=real_data("fashion-mnist").parent)
    assert data.train_inputs.shape == (60000, 28, 28, 1)
    assert data.test_inputs.shape == (10000, 28, 28, 1)
    assert (np.bincount(data.train_targets) == 6000).all()
    # The published moments are 0.2860 and 0.3530 of 255.
    np.testing.assert_allclose([data.mean[0], data.std[0]], [72.940, 90.021], atol=1e-3)
