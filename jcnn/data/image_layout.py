"""Which images in a folder belong to which class and part, and what is left out."""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from jcnn.data.errors import DataError
from jcnn.data.image_file import SUFFIXES
from jcnn.data.items import Item, check_name, regular_size, visible
from jcnn.data.split import split_validation

PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation"),
}
"""The names of the folders of each part, in lower case."""

_MOST_NAMED = 3


@dataclass
class Remarks:
    """What a folder holds that is not read, and how its parts are used."""

    lines: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    suffixes: Counter[str] = field(default_factory=Counter)

    def ignore(self, item: Item, inside: str) -> None:
        """Note a file or folder that is not read; `inside` is the path of its folder."""
        if item.is_dir():
            self.folders.append(f"{inside}{item.name}/")
        else:
            beside = " beside the classes" if item.suffix.lower() in SUFFIXES else ""
            self.suffixes[f"{item.suffix.lower() or 'without suffix'}{beside}"] += 1

    def __str__(self) -> str:
        """One line, empty if everything is read."""
        ignored = self.folders[:_MOST_NAMED]
        if len(self.folders) > _MOST_NAMED:
            ignored.append(f"{len(self.folders) - _MOST_NAMED} more folders")
        common = self.suffixes.most_common(_MOST_NAMED)
        ignored += [f"{count} {suffix}" for suffix, count in common]
        if (rest := self.suffixes.total() - sum(count for _, count in common)) > 0:
            ignored.append(f"{rest} other files")
        lines = [*self.lines, *([f"{', '.join(ignored)} ignored"] if ignored else [])]
        return "; ".join(lines)


@dataclass(frozen=True)
class Part:
    """The images of a part, in order, with their labels, and the bytes of their files."""

    files: Sequence[Item] = ()
    labels: Sequence[int] = ()
    size: int = 0


@dataclass(frozen=True)
class ImageLayout:
    """The images of a data set; a part that is not there has no files."""

    classes: tuple[str, ...]
    train: Part
    test: Part
    validation: Part
    remarks: str


def with_test_part(layout: ImageLayout, seed: int) -> ImageLayout:
    """Return the layout with 20% of each class in the test part, if it has no test images.

    These are the images that `jcnn.data.from_arrays` would split off.
    """
    if layout.test.files:
        return layout
    train = layout.train
    parts = split_validation(np.array(train.labels), 0.2, seed=seed, stratify=True)
    first, second = (
        Part([train.files[i] for i in part], [train.labels[i] for i in part]) for part in parts
    )
    return replace(layout, train=replace(first, size=train.size), test=second)


def find_images(root: Item) -> ImageLayout:
    """List the images in `root/train/<class>` and `root/test/<class>`, or in `root/<class>`.

    Raises DataError for what cannot be read, and for a layout that could be read in two ways.
    """
    remarks = Remarks()
    parts = _parts(root)
    train_root = parts.get("train", root)
    held = {part: parts[part] for part in ("test", "validation") if part in parts}
    if "train" in parts:
        if [*held] == ["validation"]:
            held = {"test": held["validation"]}
            remarks.lines.append(f"{held['test'].name}/ is the test set")
        _ignore_beside(root, {train_root.name, *(item.name for item in held.values())}, remarks)
    elif parts:
        (name, *_) = (item.name for item in parts.values())
        raise DataError(
            f"{root}: has a folder {name} of folders, but none called train; rename the folder of "
            "training images to train"
        )
    classes = _class_names(train_root)
    train = _list_part(train_root, classes, remarks, _inside(root, train_root))
    listed = {}
    for part, folder in held.items():
        unknown = sorted(set(_class_names(folder)) - set(classes))
        if unknown:
            raise DataError(f"{folder / unknown[0]}: class is not one of those in {train_root}")
        listed[part] = _list_part(folder, classes, remarks, _inside(root, folder))
    test, validation = (listed.get(part, Part()) for part in ("test", "validation"))
    return ImageLayout(classes, train, test, validation, str(remarks))


def _parts(root: Item) -> dict[str, Item]:
    """Return the folders of parts: those called like one that hold folders.

    A folder of images called "train" is a class of pictures of trains.
    """
    parts: dict[str, Item] = {}
    for item in visible(root):
        for part, names in PARTS.items():
            if item.name.lower() in names and _holds_folders(item):
                if part in parts:
                    raise DataError(
                        f"{root}: {parts[part].name} and {item.name} are both the {part} part; "
                        "keep one of them"
                    )
                parts[part] = item
    return parts


def _holds_folders(folder: Item) -> bool:
    return folder.is_dir() and any(item.is_dir() for item in folder.iterdir())


def _inside(root: Item, part: Item) -> str:
    return "" if part is root else f"{part.name}/"


def _class_names(folder: Item) -> tuple[str, ...]:
    folders = [item for item in visible(folder) if item.is_dir()]
    for item in folders:
        check_name(item, folder)
    if len(folders) < 2:
        raise DataError(
            f"{folder}: classes are {[item.name for item in folders]}, expected a sub-folder of "
            "images for each of at least two classes"
        )
    return tuple(item.name for item in folders)


def _list_part(folder: Item, classes: Sequence[str], remarks: Remarks, inside: str) -> Part:
    files: list[Item] = []
    labels: list[int] = []
    size = 0
    _ignore_beside(folder, set(classes), remarks)
    for label, name in enumerate(classes):
        images, bytes_of_class = _list_class(folder / name, remarks, f"{inside}{name}/")
        files += images
        labels += [label] * len(images)
        size += bytes_of_class
    return Part(files, labels, size)


def _ignore_beside(folder: Item, used: Container[str], remarks: Remarks) -> None:
    """Note folders and images beside those that are used; other files are ignored."""
    for item in visible(folder):
        is_image = item.suffix.lower() in SUFFIXES
        if item.name not in used and (is_image or item.is_dir()):
            remarks.ignore(item, "")


def _list_class(folder: Item, remarks: Remarks, inside: str) -> tuple[list[Item], int]:
    """Return the images of a class, sorted by name, and the bytes of their files."""
    images: list[Item] = []
    total = 0
    for item in visible(folder) if folder.is_dir() else ():
        is_image = item.suffix.lower() in SUFFIXES
        size = regular_size(item) if is_image else None
        if size is not None:
            check_name(item, folder)
            images.append(item)
            total += size
            continue
        if item.is_dir() and _holds_images(item):
            raise DataError(
                f"{item}: images in a sub-folder of a class; move them into {folder}, or make each "
                "sub-folder a class"
            )
        remarks.ignore(item, inside)
    if not images:
        raise DataError(
            f"{folder}: class has no images; add {', '.join(SUFFIXES)} files or remove the class"
        )
    return images, total


def _holds_images(folder: Item) -> bool:
    return any(item.suffix.lower() in SUFFIXES for item in visible(folder))
