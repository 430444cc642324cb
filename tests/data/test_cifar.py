"""CIFAR-10 is found in each of its places, as folders or as an archive."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcnn.data import DataError, available, directories, load
from jcnn.data.cifar import CLASSES
from jcnn.data.fetch import cache_dir


def written(folder: Path, *, side: int = 32, classes: tuple[str, ...] = CLASSES) -> Path:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in classes:
            (folder / part / name).mkdir(parents=True)
            for index in range(2):
                pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{index}.png")
    return folder


def packed(folder: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, f"w:{path.suffix[1:].replace('tar', '')}") as archive:
        archive.add(folder, "anything")
    return path


@pytest.mark.parametrize(
    "name", ["cifar10", "cifar-10", "cifar10.tar", "cifar10-jpeg.tar.xz", "cifar10/cifar10.tar.gz"]
)
@pytest.mark.parametrize("by", ["data_dir", "JCNN_DATA", "cache", "system"])
def test_it_is_found_in_every_place(
    name: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, options = tmp_path / "base", {}
    if by == "data_dir":
        options = {"data_dir": base}
    elif by == "JCNN_DATA":
        monkeypatch.setenv("JCNN_DATA", str(base))
    else:
        base = cache_dir() if by == "cache" else directories.SYSTEM_DIR
    source = written(tmp_path / "made")
    expected = load(source)
    place = base / name
    if ".tar" in name:
        packed(source, place)
    else:
        base.mkdir(parents=True, exist_ok=True)
        source.rename(place)
    entry = next(item for item in available(**options) if item.name == "cifar10")
    assert (entry.ready, entry.found) == (True, str(place))
    data = load("cifar10", **options)
    assert (data.name, data.source, data.classes) == ("cifar10", str(place), CLASSES)
    assert entry.input_shape == data.input_shape
    assert data.digest() == expected.digest()


def test_data_dir_may_be_the_folder_itself_and_comes_first(tmp_path: Path) -> None:
    folder = written(tmp_path)
    assert load("cifar10", data_dir=folder).source == str(folder)
    packed(folder / "test", folder / "cifar10.tar")
    assert load("cifar10", data_dir=folder).source == str(folder)


def test_if_not_found_the_error_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cifar10: put train/<class>/\*.jpg .* into DIR/cifar10 "):
        load("cifar10")
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10-python.tar.zst").touch()
    (tmp_path / "cifar10-old.tar").mkdir()
    with pytest.raises(DataError, match=f"into {tmp_path / 'cifar10'}"):
        load("cifar10", data_dir=tmp_path)
    entry = next(item for item in available(data_dir=tmp_path) if item.name == "cifar10")
    assert not entry.ready
    assert entry.found.startswith("not found: put train/<class>")
    with pytest.raises(DataError, match="no such directory of data"):
        load("cifar10", data_dir=tmp_path / "none")
    with pytest.raises(DataError, match="did you mean cifar10"):
        load("cifar")


def test_other_data_are_refused(tmp_path: Path) -> None:
    packed(written(tmp_path / "a", side=16), tmp_path / "small" / "cifar10.tar")
    with pytest.raises(DataError, match=r"images \(16, 16, 3\), expected .* this is not CIFAR-10"):
        load("cifar10", data_dir=tmp_path / "small")
    others = (*CLASSES[:-1], "zebra")
    packed(written(tmp_path / "b", classes=others), tmp_path / "other" / "cifar10.tar")
    with pytest.raises(DataError, match="ship, zebra and images .* this is not CIFAR-10"):
        load("cifar10", data_dir=tmp_path / "other")
    for part, missing in (("train", "test"), ("test", "train")):
        folder = written(tmp_path / f"no-{missing}")
        (folder / missing).rename(tmp_path / f"aside-{missing}")
        packed(folder, tmp_path / part / "cifar10.tar")
        with pytest.raises(DataError, match=rf"cifar10.tar/.*{missing}: folder is missing; put"):
            load("cifar10", data_dir=tmp_path / part)


@pytest.mark.slow
def test_real_cifar10(real_data: Callable[[str], Path]) -> None:
    folder = real_data("cifar10-jpeg.tar.xz").parent
    data = load("cifar10", data_dir=folder)
    assert data.train_inputs.shape == (50000, 32, 32, 3)
    assert data.test_inputs.shape == (10000, 32, 32, 3)
    assert (np.bincount(data.train_targets) == 5000).all()
    assert (np.bincount(data.test_targets) == 1000).all()
    # Those of the published images are 125.3, 123.0, 113.9; JPEG changes them a little.
    np.testing.assert_allclose(data.mean, [125.3, 123.0, 113.9], atol=0.2)
    entry = next(item for item in available(data_dir=folder) if item.name == "cifar10")
    assert entry.found == data.source == str(folder / "cifar10-jpeg.tar.xz")
