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
from jcnn.data.resize import Resize, ResizedImages, ResizeTo, as_resize


def load_image_folder(
    root: str | os.PathLike[str],
    *,
    resize: ResizeTo | None = None,
    max_bytes: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Read a Dataset from `root/train/<class>/*.jpg` and `root/test/<class>/*.jpg`.

    Images are .jpg, .jpeg, .png or .webp. A folder `val` has the validation examples; without
    `test`, it is the test set. Without both, and for `root/<class>/*.png`, 20% of each class is
    split off for testing with `seed`. Classes are the sub-folders, sorted by name. Images are read
    as displayed, turned as their EXIF data says, with 8 bits per channel and no transparent pixels.

    All images must have the same size and kind, grey (1 channel) or color (3 channels, RGB), or
    `resize` brings them to one: 224, (height, width), "224x320", or "224:pad" to pad instead of
    cropping (see `jcnn.data.resize.Resize`). Grey images among colored ones then become RGB.

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
    return dataset_of_images(
        root, name=name, source=str(root), max_bytes=max_bytes, seed=seed, resize=resize
    )


def dataset_of_images(
    root: Item,
    *,
    name: str,
    source: str,
    max_bytes: int | None,
    seed: int = 0,
    held: int | None = None,
    resize: ResizeTo | None = None,
) -> Dataset:
    """Read a Dataset as `load_image_folder` does, from any kind of folder.

    `held` is the number of bytes on disk, if it is not that of the images' files.
    """
    check_text(str(root), "the path of the images")
    with reading(root, "image folder"):
        layout = find_images(root)
    parts = [layout.train, layout.test, layout.validation]
    size = sum(part.size for part in parts)
    files = [file for part in parts for file in part.files]
    to = None if resize is None else as_resize(resize)
    images = _read_images(root, files, size if held is None else held, max_bytes, to)
    notes = "; ".join([*filter(None, [layout.remarks]), *([f"images {to}"] if to else [])])
    cuts = np.cumsum([len(part.files) for part in parts])[:-1]
    (train, test, validation), labels = np.split(images, cuts), [part.labels for part in parts]
    with blaming(root):
        return from_arrays(
            train,
            np.array(labels[0]),
            test_inputs=test if len(test) else None,
            test_targets=np.array(labels[1]) if len(test) else None,
            validation_inputs=validation if len(validation) else None,
            validation_targets=np.array(labels[2]) if len(validation) else None,
            name=name,
            classes=layout.classes,
            seed=seed,
            source=f"{source} ({notes})" if notes else source,
            remarks=notes,
        )


def _read_images(
    root: Item, files: Sequence[Item], size: int, max_bytes: int | None, resize: Resize | None
) -> np.ndarray:
    first: ImageKind | None = None
    resized = None
    for index, path in enumerate(files):
        with open_image(path) as image:
            if first is None:
                first = image.kind
                height, width = first[1::-1] if resize is None else resize[:2]
                channels = 1 if first.mode == "L" and resize is None else 3
                shape = len(files), height, width, channels
                field, needed = f"{shape} images in uint8", math.prod(shape)
                check_budget(root, field, needed, max_bytes)
                check_expansion(root, field, needed, size, max_bytes)
                if resize is None:
                    images = np.empty(shape, np.uint8)
                else:
                    resized = ResizedImages(len(files), resize)
            elif image.kind != first and resized is None:
                raise DataError(
                    f"{path}: image is {image.kind}, but {files[0]} is {first}; resize "
                    "(--resize 224) brings all images to one size and mode"
                )
            if resized is None:
                images[index] = image.pixels()
            else:
                resized[index] = image.pixels()
    return images if resized is None else resized.array
