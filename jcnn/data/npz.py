"""`.npz` files of inputs and targets, read without pickle and with every size checked."""

import io
import math
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from jcnn.data.arrays import from_arrays
from jcnn.data.dataset import Dataset
from jcnn.data.errors import DataError
from jcnn.data.reading import DEFLATE_LIMIT, MAX_BYTES, blaming, check_budget, fill, reading

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


def load_npz(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES, seed: int = 0) -> Dataset:
    """Read a Dataset from an `.npz` file (`numpy.savez` or `savez_compressed`).

    The arrays are named `x_train, y_train, x_test, y_test`, or as in MedMNIST `train_images,
    train_labels, test_images, test_labels`, or `x, y`. If the test pair is missing, 20% is split
    off with `seed`. Other arrays, such as MedMNIST's `val_images`, are ignored and listed in
    `source`. Shapes are those of `from_arrays`; four-dimensional inputs that are cubes
    (MedMNIST3D's 64x64x64) get a channel axis.

    Raises DataError, with the file and the array, for a missing array, an array of objects or of
    another size than declared, or more than `max_bytes` in total.

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/own.npz", x=np.zeros((20, 8, 8), np.uint8), y=np.arange(20) % 2)
    ...     data = load_npz(f"{folder}/own.npz")
    >>> data.input_shape, data.num_classes
    ((8, 8, 1), 2)
    """
    path = Path(path)
    with reading(path, ".npz file"), zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        layout = _layout(path, tuple(members))
        check_budget(
            path,
            f"arrays {', '.join(layout)}",
            sum(members[key].file_size for key in layout),
            max_bytes,
        )
        arrays = [_read_array(path, archive, members[key]) for key in layout]
    ignored = [key for key in members if key not in layout]
    source = f"{path} ({', '.join(ignored)} ignored)" if ignored else str(path)
    for index in range(0, len(arrays), 2):
        arrays[index] = _with_channels(arrays[index])
    x, y, *test = arrays
    test_x, test_y = test if test else (None, None)
    with blaming(path):
        return from_arrays(
            x, y, test_inputs=test_x, test_targets=test_y, name=path.stem, seed=seed, source=source
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


def _read_array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    name = info.filename
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path}: array {name} is compressed by a method that numpy does not use")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version not in _HEADER_READERS:
            raise DataError(f"{path}: array {name} has header version {version}, expected 1 or 2")
        shape, fortran_order, dtype = _HEADER_READERS[version](member)
        if dtype.kind not in "biuf":
            raise DataError(
                f"{path}: array {name} has dtype {dtype}, expected integers or floats; objects "
                "would need pickle, which is never read"
            )
        needed = math.prod(shape) * dtype.itemsize
        held = info.file_size - member.tell()
        if min(shape, default=0) < 0 or needed != held:
            raise DataError(
                f"{path}: array {name} declares shape {shape} of {dtype}, {needed:,} bytes, but "
                f"has {held:,}; write the file again"
            )
        if info.file_size > DEFLATE_LIMIT * max(info.compress_size, 1):
            raise DataError(
                f"{path}: array {name} declares {info.file_size:,} bytes, more than its "
                f"{info.compress_size:,} compressed bytes can hold; write the file again"
            )
        array = np.empty(shape[::-1] if fortran_order else shape, dtype)
        # zipfile's members are buffered readers, but its annotations do not say so.
        if fill(cast(io.BufferedIOBase, member), array) < needed:
            raise DataError(f"{path}: array {name} is truncated; write the file again")
    return array.T if fortran_order else array


def _with_channels(inputs: np.ndarray) -> np.ndarray:
    """Add a channel axis to volumes: no image has as many channels as rows and columns."""
    is_cube = inputs.ndim == 4 and len(set(inputs.shape[1:])) == 1 and inputs.shape[-1] > 4
    return inputs[..., None] if is_cube else inputs
