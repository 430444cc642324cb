"""`.npz` files of inputs and targets, read without pickle and with every size checked."""

import io
import math
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from jcnn.data.arrays import from_arrays
from jcnn.data.dataset import Dataset
from jcnn.data.errors import DataError
from jcnn.data.reading import (
    DEFLATE_LIMIT,
    blaming,
    check_budget,
    check_expansion,
    check_file,
    fill,
    reading,
)

LAYOUTS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x", "y", "x_test", "y_test"),
)
"""The names of training inputs and targets, and of test inputs and targets if present."""

_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

# numpy itself refuses headers of more than 10,000 characters.
_LONGEST_HEADER = 2**14


def load_npz(
    path: str | os.PathLike[str], *, max_bytes: int | None = None, seed: int = 0
) -> Dataset:
    """Read a Dataset from an `.npz` file (`numpy.savez` or `savez_compressed`).

    The arrays are named `x_train, y_train, x_test, y_test`, or as in MedMNIST `train_images,
    train_labels, test_images, test_labels`, or `x, y`. If the test pair is missing, 20% is split
    off with `seed`. Other arrays, such as MedMNIST's `val_images`, are ignored and listed in
    `remarks` and `source`. Shapes are those of `from_arrays`; four-dimensional inputs that are
    cubes (MedMNIST3D's 64x64x64) get a channel axis.

    Raises DataError, with the file and the array, for a missing array, an array of objects or of
    another size than declared, or more than `max_bytes` in total; without `max_bytes`, more than
    8 GiB or 500 times the bytes of the file.

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/own.npz", x=np.zeros((20, 8, 8), np.uint8), y=np.arange(20) % 2)
    ...     data = load_npz(f"{folder}/own.npz")
    >>> data.input_shape, data.num_classes
    ((8, 8, 1), 2)
    """
    path = Path(path)
    held = check_file(path, ".npz file")
    with reading(path, ".npz file"), zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        layout = _layout(path, tuple(members))
        field = f"arrays {', '.join(layout)}"
        check_budget(path, field, sum(members[key].file_size for key in layout), max_bytes)
        headers = [_read_header(path, archive, members[key]) for key in layout]
        needed = sum(header.needed for header in headers)
        check_expansion(path, field, needed, held, max_bytes)
        arrays = [_read_array(path, archive, header) for header in headers]
    ignored = [key for key in members if key not in layout]
    remarks = f"{', '.join(ignored)} ignored" if ignored else ""
    source = f"{path} ({remarks})" if ignored else str(path)
    for index in range(0, len(arrays), 2):
        arrays[index] = _with_channels(arrays[index])
    x, y, *test = arrays
    test_x, test_y = test if test else (None, None)
    with blaming(path):
        return from_arrays(
            x,
            y,
            test_inputs=test_x,
            test_targets=test_y,
            name=path.stem,
            seed=seed,
            source=source,
            remarks=remarks,
        )


def _layout(path: Path, keys: Sequence[str]) -> tuple[str, ...]:
    for layout in LAYOUTS:
        if layout[0] not in keys and layout[1] not in keys:
            continue
        expected = layout if layout[2] in keys or layout[3] in keys else layout[:2]
        missing = [key for key in expected if key not in keys]
        if missing:
            raise DataError(
                f"{path}: array {missing[0]!r} is missing; the file has {', '.join(keys)}"
            )
        return expected
    known = " or ".join(", ".join(layout) for layout in LAYOUTS)
    raise DataError(f"{path}: arrays are named {', '.join(keys) or 'nothing'}; expected {known}")


class _Header(NamedTuple):
    """What an array's header declares, checked against the size of its member."""

    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype
    length: int

    @property
    def needed(self) -> int:
        """The bytes of its elements, as stored or as float32, whichever are more."""
        size = 1 if self.dtype == np.uint8 else max(self.dtype.itemsize, 4)
        return math.prod(self.shape) * size


def _read_header(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header:
    name = info.filename
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path}: array {name} is compressed by a method that numpy does not use")
    with archive.open(info) as member:
        # numpy would read as many bytes as the header says that it is long.
        start = io.BytesIO(member.read(_LONGEST_HEADER))
    version = np.lib.format.read_magic(start)
    if version not in _HEADER_READERS:
        raise DataError(f"{path}: array {name} has header version {version}, expected 1 or 2")
    shape, fortran_order, dtype = _HEADER_READERS[version](start)
    if dtype.kind not in "biuf":
        raise DataError(
            f"{path}: array {name} has dtype {dtype}, expected integers or floats; objects "
            "would need pickle, which is never read"
        )
    header = _Header(info, shape, fortran_order, dtype, start.tell())
    elements, held = math.prod(shape) * dtype.itemsize, info.file_size - header.length
    if min(shape, default=0) < 0 or elements != held:
        raise DataError(
            f"{path}: array {name} declares shape {shape} of {dtype}, {elements:,} bytes, but "
            f"has {held:,}; write the file again"
        )
    if info.file_size > DEFLATE_LIMIT * max(info.compress_size, 1):
        raise DataError(
            f"{path}: array {name} declares {info.file_size:,} bytes, more than its "
            f"{info.compress_size:,} compressed bytes can hold; write the file again"
        )
    return header


def _read_array(path: Path, archive: zipfile.ZipFile, header: _Header) -> np.ndarray:
    shape = header.shape[::-1] if header.fortran_order else header.shape
    array = np.empty(shape, header.dtype)
    with archive.open(header.info) as member:
        member.read(header.length)
        # zipfile's members are buffered readers, but its annotations do not say so.
        if fill(cast(io.BufferedIOBase, member), array) < array.nbytes:
            raise DataError(
                f"{path}: array {header.info.filename} is truncated; write the file again"
            )
    return array.T if header.fortran_order else array


def _with_channels(inputs: np.ndarray) -> np.ndarray:
    """Add a channel axis to volumes: no image has as many channels as rows and columns."""
    is_cube = inputs.ndim == 4 and len(set(inputs.shape[1:])) == 1 and inputs.shape[-1] > 4
    return inputs[..., None] if is_cube else inputs
