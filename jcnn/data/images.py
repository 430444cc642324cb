"""Images, one folder per class, on disk or in anything else made of files and folders."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jcnn.data.arrays import from_arrays
from jcnn.data.dataset import Dataset
from jcnn.data.errors import DataError
from jcnn.data.image_file import ImageKind, open_image
from jcnn.data.image_layout import find_images
from jcnn.data.items import Item, check_text
from jcnn.data.reading import blaming, check_budget, check_expansion, reading


def load_image_folder(
    root: str | os.PathLike[str], *, max_bytes: int | None = None, seed: int = 0
) -> Dataset:
    """Read a Dataset from `root/train/<class>/*.jpg` and `root/test/<class>/*.jpg`.

    Images are .jpg, .jpeg or .png. Without `test`, a folder `val` is the test set; without both,
    and for `root/<class>/*.png`, 20% of each class is split off with `seed`. Classes are the
    sub-folders, sorted by name. All images must have the same size and kind: grey (1 channel) or
    color (3 channels, RGB), 8 bits per channel, no transparent pixels. They are read as displayed:
    turned as their EXIF data says.

    Hidden files are skipped. Files with other suffixes and other folders are ignored, which
    `remarks` and `source` say. Images in a sub-folder of a class, pipes and devices are refused.
    Memory is allocated once, after its amount is checked against `max_bytes`; without `max_bytes`,
    against 8 GiB and 500 times the bytes of the files.

    Raises DataError with the first offending image or folder, and the fix.

    >>> import tempfile, pathlib
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for i, name in enumerate(["cat", "dog"] * 10):
    ...         place = pathlib.Path(folder, "train", name)
    ...         place.mkdir(parents=True, exist_ok=True)
    ...         Image.new("RGB", (8, 8)).save(place / f"{i}.png")
    ...     pets = load_image_folder(folder)
    >>> pets.classes, pets.input_shape
    (('cat', 'dog'), (8, 8, 3))
    """
    root = Path(root)
    name = root.resolve().name
    return dataset_of_images(root, name=name, source=str(root), max_bytes=max_bytes, seed=seed)


def dataset_of_images(
    root: Item,
    *,
    name: str,
    source: str,
    max_bytes: int | None,
    seed: int = 0,
    held: int | None = None,
) -> Dataset:
    """Read a Dataset as `load_image_folder` does, from any kind of folder.

    `held` is the number of bytes on disk, if it is not that of the images' files.
    """
    check_text(str(root), "the path of the images")
    with reading(root, "image folder"):
        layout = find_images(root)
    train, test = layout.train, layout.test
    size = train.size + test.size if held is None else held
    images = _read_images(root, [*train.files, *test.files], size, max_bytes)
    cut = len(train.files)
    has_test = bool(test.files)
    remarks = f" ({layout.remarks})" if layout.remarks else ""
    with blaming(root):
        return from_arrays(
            images[:cut],
            np.array(train.labels),
            test_inputs=images[cut:] if has_test else None,
            test_targets=np.array(test.labels) if has_test else None,
            name=name,
            classes=layout.classes,
            seed=seed,
            source=f"{source}{remarks}",
            remarks=layout.remarks,
        )


def _read_images(root: Item, files: Sequence[Item], size: int, max_bytes: int | None) -> np.ndarray:
    first: ImageKind | None = None
    for index, path in enumerate(files):
        with open_image(path) as image:
            if first is None:
                first = image.kind
                shape = len(files), first.height, first.width, 1 if first.mode == "L" else 3
                field, needed = f"{shape} images in uint8", math.prod(shape)
                check_budget(root, field, needed, max_bytes)
                check_expansion(root, field, needed, size, max_bytes)
                images = np.empty(shape, np.uint8)
            elif image.kind != first:
                raise DataError(
                    f"{path}: image is {image.kind}, but {files[0]} is {first}; convert all images "
                    "to one size and mode first"
                )
            images[index] = image.pixels()
    return images
