"""Folders of images: what is right is read exactly, what is wrong is one clear error."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcnn.data import DataError, load, load_image_folder


def image_folder(root: Path, suffix: str = ".png", mode: str = "RGB", each: int = 5) -> Path:
    for value, name in enumerate(("cat", "ant")):
        (root / name).mkdir(parents=True)
        for index in range(each):
            shade = 100 * value + index
            image = Image.new("L", (6, 4), shade).convert(mode)
            image.save(root / name / f"{index}{suffix}")
    return root


@pytest.mark.parametrize(
    ("suffix", "mode", "channels"),
    [
        (".png", "RGB", 3),
        (".png", "L", 1),
        (".png", "RGBA", 3),
        (".png", "LA", 1),
        (".png", "P", 3),
        (".jpg", "RGB", 3),
        (".JPEG", "L", 1),
        (".webp", "RGB", 3),
        (".webp", "RGBA", 3),
    ],
)
def test_image_folder(suffix: str, mode: str, channels: int, tmp_path: Path) -> None:
    data = load(image_folder(tmp_path / "pets", suffix, mode))
    assert (data.name, data.classes, data.input_shape) == ("pets", ("ant", "cat"), (4, 6, channels))
    assert (len(data.train_inputs), len(data.test_inputs)) == (8, 2)
    assert ((data.train_inputs[:, 0, 0, 0] >= 98) == (data.train_targets == 0)).all()


def test_image_folder_with_test_part_and_stray_files(tmp_path: Path) -> None:
    image_folder(tmp_path / "train")
    image_folder(tmp_path / "test", each=2)
    (tmp_path / "train" / "ant" / "notes.txt").write_text("stray")
    (tmp_path / "train" / "ant" / "._0.png").write_text("stray")
    (tmp_path / "train" / ".hidden").mkdir()
    data = load(tmp_path)
    assert (len(data.train_inputs), len(data.test_inputs)) == (10, 4)
    assert list(data.test_inputs[:, 0, 0, 0]) == [100, 101, 0, 1]
    assert list(data.test_targets) == [0, 0, 1, 1]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    image_folder(tmp_path)
    (tmp_path / "cat").rename(tmp_path / "train")
    assert load_image_folder(tmp_path).classes == ("ant", "train")


def spoil_size(root: Path) -> None:
    Image.new("RGB", (5, 4)).save(root / "cat" / "3.png")


def spoil_mode(root: Path) -> None:
    Image.new("L", (6, 4)).save(root / "cat" / "3.png")


def spoil_depth(root: Path) -> None:
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(root / "cat" / "3.png")


def spoil_content(root: Path) -> None:
    (root / "cat" / "3.png").write_bytes(b"GIF89a")


def spoil_end(root: Path) -> None:
    path = root / "cat" / "3.png"
    path.write_bytes(path.read_bytes()[:45])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_size, r"3.png: image is 5x4 color, but .*0.png is 6x4 color"),
        (spoil_mode, "3.png: image is 6x4 grey"),
        (spoil_depth, "3.png: image has 16 bits per channel, expected 8"),
        (spoil_content, "3.png: not a readable image"),
        (spoil_end, "3.png: not a readable image"),
    ],
)
def test_an_error_names_the_image(spoil: Callable, message: str, tmp_path: Path) -> None:
    spoil(image_folder(tmp_path))
    with pytest.raises(DataError, match=message):
        load_image_folder(tmp_path)


def test_image_folder_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such image folder"):
        load_image_folder(tmp_path / "none")
    with pytest.raises(DataError, match=r"classes are \[\]"):
        load_image_folder(tmp_path)
    image_folder(tmp_path / "train")
    with pytest.raises(DataError, match=r"10 images|\(10, 4, 6, 3\) images .* limit of 100"):
        load_image_folder(tmp_path, max_bytes=100)
    image_folder(tmp_path / "test")
    (tmp_path / "test" / "cat").rename(tmp_path / "test" / "dog")
    with pytest.raises(DataError, match="dog: class is not one of those"):
        load_image_folder(tmp_path)
    (tmp_path / "train" / "empty").mkdir()
    with pytest.raises(DataError, match="empty: class has no images"):
        load_image_folder(tmp_path / "train")
