"""MNIST and its drop-in replacements: four IDX files, found on disk or downloaded."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jcnn.data.arrays import from_arrays
from jcnn.data.dataset import Dataset
from jcnn.data.directories import check_directories, common_places, given_places, place_for
from jcnn.data.errors import DataError
from jcnn.data.fetch import RemoteFile, cache_dir, fetch
from jcnn.data.idx import read_idx
from jcnn.data.reading import blaming

FILE_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class IdxSource:
    """A data set of four IDX files: 60,000 and 10,000 grey images of 28x28, ten classes."""

    name: str
    description: str
    classes: tuple[str, ...]
    base_url: str
    sizes: tuple[int, int, int, int]
    sha256: tuple[str, str, str, str]

    @property
    def remote_files(self) -> tuple[RemoteFile, ...]:
        """The published files, gzipped."""
        return tuple(
            RemoteFile(f"{file}.gz", f"{self.base_url}{file}.gz", size, digest)
            for file, size, digest in zip(FILE_NAMES, self.sizes, self.sha256, strict=True)
        )


# The SHA-256 of MNIST and KMNIST are those that TensorFlow Datasets and torchvision publish.
# Fashion-MNIST's were computed from files whose MD5 are those that its authors publish.
MNIST = IdxSource(
    "mnist",
    "handwritten digits, LeCun and others 1998",
    tuple("0123456789"),
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    (9912422, 28881, 1648877, 4542),
    (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
FASHION_MNIST = IdxSource(
    "fashion-mnist",
    "pictures of clothes, Xiao and others 2017",
    (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    (26421880, 29515, 4422102, 5148),
    (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)
KMNIST = IdxSource(
    "kmnist",
    "cursive Japanese characters, Clanuwat and others 2018",
    ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    (18165135, 29497, 3041136, 5120),
    (
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
)
IDX_SOURCES = {source.name: source for source in (MNIST, FASHION_MNIST, KMNIST)}


def find_idx_set(name: str, data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the first folder that contains the files of `name`, or None.

    The search order is `data_dir`, `$JCNN_DATA` (in both, the sub-folder `name` first),
    `/usr/share/datasets/name`, the cache.
    """
    return next((folder for folder in _folders(name, data_dir) if has_idx_files(folder)), None)


def has_idx_files(folder: Path) -> bool:
    """Return whether a folder contains training images in the IDX format under their usual name."""
    return _find_file(folder, FILE_NAMES[0]) is not None


def load_idx_set(
    name: str, *, data_dir: str | os.PathLike[str] | None = None, download: bool = True
) -> Dataset:
    """Load one of `IDX_SOURCES` from disk, or download it into the cache."""
    check_directories(data_dir)
    source = IDX_SOURCES[name]
    folder = find_idx_set(name, data_dir)
    if folder is None:
        if not download:
            raise DataError(f"{name}: {where_to_put(name, data_dir)}")
        folder = cache_dir() / name
        try:
            # The training images last: has_idx_files looks for them, so a partial download counts
            # as not found and is completed the next time.
            for remote in reversed(source.remote_files):
                fetch(remote, folder)
        except DataError as error:
            raise DataError(
                f"{error}; without a network, {where_to_put(name, data_dir)}"
            ) from error
    _refuse_another_set(source, folder)
    return load_idx_folder(folder, name=name, classes=source.classes)


def where_to_put(name: str, data_dir: str | os.PathLike[str] | None = None) -> str:
    """Return an instruction: where to get the files of a data set, and where to put them."""
    files = ", ".join(f"{file}.gz" for file in FILE_NAMES)
    return f"put {files} from {IDX_SOURCES[name].base_url} into {place_for(name, data_dir)}"


def load_idx_folder(
    folder: Path, *, name: str | None = None, classes: tuple[str, ...] | None = None
) -> Dataset:
    """Read a Dataset from the four IDX files in a folder; classes default to the labels."""
    paths = [_find_file(folder, file) for file in FILE_NAMES]
    for file, path in zip(FILE_NAMES, paths, strict=True):
        if path is None:
            raise DataError(f"{folder}: file {file} (or {file}.gz) is missing")
    arrays = [read_idx(path) for path in paths if path is not None]
    for images, labels, images_path, path in zip(
        arrays[::2], arrays[1::2], paths[::2], paths[1::2], strict=True
    ):
        if images.ndim < 2:
            raise DataError(
                f"{images_path}: images have shape {images.shape}, expected (n, rows, columns)"
            )
        if labels.ndim != 1 or labels.dtype.kind != "u" or len(labels) != len(images):
            raise DataError(
                f"{path}: labels are {labels.dtype} of shape {labels.shape}, expected one unsigned "
                f"byte for each of the {len(images)} images in {images_path}"
            )
        if classes is not None and labels.max() >= len(classes):
            raise DataError(
                f"{path}: label {labels.max()} is outside 0 to {len(classes) - 1}; this file does "
                f"not belong to {name}"
            )
    with blaming(folder):
        return from_arrays(
            arrays[0],
            arrays[1],
            test_inputs=arrays[2],
            test_targets=arrays[3],
            name=name or folder.resolve().name,
            classes=classes,
            source=str(folder),
        )


def _folders(name: str, data_dir: str | os.PathLike[str] | None) -> Iterator[Path]:
    for place in given_places(data_dir):
        yield place / name
        yield place
    for place in common_places():
        yield place / name


def _find_file(folder: Path, file: str) -> Path | None:
    # Some mirrors unpack "train-images-idx3-ubyte" as "train-images.idx3-ubyte".
    dotted = file.replace("-idx", ".idx")
    candidates = (folder / f"{stem}{end}" for stem in (file, dotted) for end in ("", ".gz"))
    return next((path for path in candidates if os.path.isfile(path)), None)


def _refuse_another_set(source: IdxSource, folder: Path) -> None:
    """Raise DataError for another set's files: all of these sets use the same file names."""
    labels = folder / f"{FILE_NAMES[3]}.gz"
    if not labels.is_file():
        return
    digest = hashlib.sha256(labels.read_bytes()).hexdigest()
    for other in IDX_SOURCES.values():
        if other is not source and digest == other.sha256[3]:
            raise DataError(
                f"{labels}: this is {other.name}, not {source.name}; load it by that name"
            )
