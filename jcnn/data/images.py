"""Images, one folder per class, on disk or in anything else made of files and folders."""

import math
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from jcnn.data.arrays import from_arrays
from jcnn.data.dataset import Dataset
from jcnn.data.errors import DataError
from jcnn.data.image_file import ImageKind, open_image
from jcnn.data.image_layout import ImageLayout, find_images, with_test_part
from jcnn.data.items import Item, check_text
from jcnn.data.on_disk import key_of_files, written_once
from jcnn.data.reading import MAX_BYTES, blaming, check_budget, check_expansion, reading
from jcnn.data.resize import Resize, ResizeTo, as_resize

# Files that are given to the threads together; after a bad one, no more are read.
_AT_ONCE = 1024


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
    against 500 times the bytes of the files. Then images that take more than 8 GiB or half of the
    memory are decoded once into a file in the cache directory, and studies read parts of it.

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
    listed = _files(layout)
    with blaming(root):
        layout = with_test_part(layout, seed)
    parts = [layout.train, layout.test, layout.validation]
    if held is None:
        held = sum(part.size for part in parts)
    to = None if resize is None else as_resize(resize)
    # Read in the order of the folders, so that the first bad file is reported.
    rows = {id(file): row for row, file in enumerate(_files(layout))}
    images = _read_images(root, listed, [rows[id(file)] for file in listed], held, max_bytes, to)
    notes = "; ".join([*filter(None, [layout.remarks]), *([f"images {to}"] if to else [])])
    cuts = np.cumsum([len(part.files) for part in parts])[:-1]
    (train, test, validation), labels = np.split(images, cuts), [part.labels for part in parts]
    with blaming(root):
        return from_arrays(
            train,
            np.array(labels[0]),
            test_inputs=test,
            test_targets=np.array(labels[1]),
            validation_inputs=validation if len(validation) else None,
            validation_targets=np.array(labels[2]) if len(validation) else None,
            name=name,
            classes=layout.classes,
            source=f"{source} ({notes})" if notes else source,
            remarks=notes,
        )


def _files(layout: ImageLayout) -> list[Item]:
    parts = layout.train, layout.test, layout.validation
    return [file for part in parts for file in part.files]


def _read_images(
    root: Item,
    files: Sequence[Item],
    rows: Sequence[int],
    size: int,
    max_bytes: int | None,
    resize: Resize | None,
) -> np.ndarray:
    """Return the images in these rows, in memory or, if they are many, in a file of the cache."""
    first = _kind(files[0])
    if resize is None:
        height, width, channels = first.height, first.width, 1 if first.mode == "L" else 3
    else:
        height, width = resize[:2]
        channels = 1 if all(_kind(file).mode == "L" for file in files) else 3
    shape = len(files), height, width, channels
    field, needed = f"{shape} images in uint8", math.prod(shape)
    many = max_bytes is None and needed > most_in_memory()
    paths = [file for file in files if isinstance(file, Path)]
    if not many or len(paths) < len(files):
        check_budget(root, field, needed, max_bytes)
        check_expansion(root, field, needed, size, max_bytes)
        return _decode(files, rows, np.empty(shape, np.uint8), first, resize)
    check_expansion(root, field, needed, size, max_bytes)
    key = key_of_files(paths, f"{resize} {channels} {[*rows]}")
    with written_once(key, shape) as (place, empty):
        if empty is not None:
            _decode(files, rows, empty, first, resize)
    images: np.ndarray = np.load(place, mmap_mode="r")
    return images


def most_in_memory() -> int:
    """Return how many bytes of images are held in memory: half of it, and at most 8 GiB."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # Windows, which does not say
        return MAX_BYTES
    return min(MAX_BYTES, memory // 2)


def _decode(
    files: Sequence[Item],
    rows: Sequence[int],
    images: np.ndarray,
    first: ImageKind,
    resize: Resize | None,
) -> np.ndarray:
    """Decode the files in threads, and return the array; the first bad file is an error."""

    def read(index: int) -> None:
        with open_image(files[index]) as image:
            if resize is None and image.kind != first:
                raise DataError(
                    f"{image.path}: image is {image.kind}, but {files[0]} is {first}; resize "
                    "(--resize 224) brings all images to one size and mode"
                )
            pixels = image.pixels()
        images[rows[index]] = pixels if resize is None else resize(pixels)

    with ThreadPoolExecutor() as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the decoders, in all threads
        for start in range(0, len(files), _AT_ONCE):
            # In order of the files, so that the first bad one is reported.
            list(pool.map(read, range(start, min(start + _AT_ONCE, len(files)))))
    return images


def _kind(file: Item) -> ImageKind:
    with open_image(file) as image:
        return image.kind
