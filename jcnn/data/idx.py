"""The IDX format of MNIST: a magic number, the sizes, then the elements."""

import gzip
import io
import math
import os
import struct
from pathlib import Path

import numpy as np

from jcnn.data.errors import DataError
from jcnn.data.reading import (
    DEFLATE_LIMIT,
    check_budget,
    check_expansion,
    check_file,
    fill,
    reading,
)

_ELEMENT_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 32


def read_idx(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> np.ndarray:
    """Read an IDX file, plain or gzipped, as an array of native byte order.

    The format is two zero bytes, a type byte, the number of dimensions, each size as a big-endian
    32-bit number, then the elements in C order (http://yann.lecun.com/exdb/mnist). All six element
    types are supported. Sizes are checked against the size of the file, and against `max_bytes`
    (by default, 8 GiB and 500 times the bytes of the file), before memory is allocated.

    Raises DataError with the file and the invalid field.

    >>> import tempfile, pathlib
    >>> header = bytes([0, 0, 8, 1, 0, 0, 0, 3])  # unsigned bytes, one axis of length 3
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels")
    ...     _ = path.write_bytes(header + bytes([7, 8, 9]))
    ...     labels = read_idx(path)
    >>> labels.tolist()
    [7, 8, 9]
    """
    path = Path(path)
    held = check_file(path, "IDX file")
    with reading(path, "IDX file"), path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: io.BufferedIOBase = gzip.GzipFile(fileobj=raw) if packed else raw
        dtype, shape = _read_header(path, stream)
        needed = math.prod(shape) * dtype.itemsize
        check_budget(path, f"sizes {shape} of {dtype.name}", needed, max_bytes)
        room = held * DEFLATE_LIMIT if packed else held - 4 - 4 * len(shape)
        if needed > room:
            raise _truncated(path, shape, needed, f"holds at most {max(room, 0):,}")
        check_expansion(path, f"sizes {shape} of {dtype.name}", needed, held, max_bytes)
        array = np.empty(shape, dtype)
        filled = fill(stream, array)
        if filled < needed:
            raise _truncated(path, shape, needed, f"holds {filled:,}")
        if stream.read(1):
            raise DataError(
                f"{path}: sizes {shape} need {needed:,} bytes of elements, but the file "
                "continues after them; the header or the file is wrong, download it again"
            )
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(path: Path, stream: io.BufferedIOBase) -> tuple[np.dtype, tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4:
        raise DataError(f"{path}: magic number is truncated; download the file again")
    if magic[:2] != b"\0\0" or magic[2] not in _ELEMENT_TYPES:
        raise DataError(
            f"{path}: magic number is {magic.hex()}, expected 0000TTNN with an element type TT of "
            f"{', '.join(f'{code:02x}' for code in _ELEMENT_TYPES)}; this is not an IDX file"
        )
    if not 1 <= magic[3] <= _MOST_DIMENSIONS:
        raise DataError(
            f"{path}: number of dimensions is {magic[3]}, expected 1 to {_MOST_DIMENSIONS}"
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path}: sizes are truncated; download the file again")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    if 0 in shape:
        raise DataError(f"{path}: sizes are {shape}, expected none of them 0")
    return np.dtype(_ELEMENT_TYPES[magic[2]]), shape


def _truncated(path: Path, shape: tuple[int, ...], needed: int, actual: str) -> DataError:
    return DataError(
        f"{path}: sizes {shape} need {needed:,} bytes of elements, but the file {actual}; "
        "it is truncated, download it again"
    )
