"""Which images of a folder are read; what is not read is said or refused."""

import io
import os
import socket
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcnn.data import DataError, from_arrays, load, load_image_archive
from jcnn.study import Study
from tests.hanging import must_end  # noqa: F401

pytestmark = pytest.mark.usefixtures("must_end")


def put(root: Path, *folders: str, each: int = 5, suffix: str = ".png") -> Path:
    for shade, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for index in range(each):
            image = Image.new("L", (6, 4), 20 * shade + index)
            image.save(root / folder / f"{index}{suffix}")
    return root


def archive_of(root: Path) -> Path:
    path = root.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(root, root.name)
    return path


@pytest.mark.parametrize(
    ("train", "held_out"),
    [("train", "val"), ("train", "valid"), ("Training", "validation"), ("training", "Testing")],
)
def test_names_of_parts(train: str, held_out: str, tmp_path: Path) -> None:
    root = put(tmp_path / "pets", f"{train}/a", f"{train}/b", f"{held_out}/a", f"{held_out}/b")
    remark = "" if "est" in held_out else f"{held_out}/ is the test set"
    for path in (root, archive_of(root)):
        data = load(path)
        assert (len(data.train_inputs), len(data.test_inputs)) == (10, 10)
        assert sorted(np.unique(data.test_inputs)) == [40, 41, 42, 43, 44, 60, 61, 62, 63, 64]
        assert data.remarks == remark
        assert data.source == (f"{path} ({remark})" if remark else str(path))


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    root = put(tmp_path / "pets", "train/a", "train/b", "test/a", "test/b", "vals/a", "other")
    put(root, "train/a", suffix=".bmp", each=3)
    put(root, "train", suffix=".png", each=2)
    (root / "train" / "b" / "notes").mkdir()
    (root / "train" / "b" / "notes" / "day.txt").write_text("sunny")
    (root / "train" / "b" / "notes.txt").write_text("sunny")
    (root / "train" / "b" / "LICENSE").write_text("free")
    (root / "README").write_text("pets")
    for path in (root, archive_of(root)):
        data = load(path)
        assert (len(data.train_inputs), len(data.test_inputs)) == (10, 10)
        assert data.remarks == (
            "other/, vals/, train/b/notes/, 3 .bmp, 2 .png beside the classes, 1 without suffix, "
            "1 other files ignored"
        )
        assert data.source == f"{path} ({data.remarks})"


def test_three_parts(tmp_path: Path) -> None:
    root = put(tmp_path / "pets", "train/a", "train/b", "test/a", "test/b", "val/a", "val/b")
    for path in (root, archive_of(root)):
        data = load(path)
        assert data.remarks == ""
        assert sorted(np.unique(data.test_inputs)) == [*range(40, 45), *range(60, 65)]
        assert sorted(np.unique(data.validation_inputs)) == [*range(80, 85), *range(100, 105)]
        assert data.validation_targets.tolist() == [0] * 5 + [1] * 5


def test_a_study_says_what_is_not_read(tmp_path: Path) -> None:
    root = put(tmp_path / "pets", "a", "b", each=20)
    put(root, "a", suffix=".bmp", each=3)
    study = Study(
        str(root), "mlp", factors={"hidden": [(4,)]}, learning_rates=[0.1], seeds=1, epochs=1,
        batch_size=8,
    )  # fmt: skip
    assert study.run().notes == ["pets: 3 .bmp ignored"]


def test_many_ignored_folders_are_counted(tmp_path: Path) -> None:
    root = put(tmp_path, "train/a", "train/b", *(f"more{i}" for i in range(9)), each=5)
    assert load(root).remarks == "more0/, more1/, more2/, 6 more folders ignored"


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("a", "b", "a/second_day"), r"a/second_day: images in a sub-folder of a class; move them"),
        (("a/x", "b/x"), r"a/x: images in a sub-folder of a class"),
        (("test/a", "test/b", "val/a", "val/b"), "folder test of folders, but none called train"),
        (("train/a", "train/b", "val/a", "val/b", "valid/a"), "val and valid are both the valid"),
        (("train/a", "train/b", "Train/a"), "Train and train are both the train part"),
        (("train/a", "train/b", "val/a", "val/c"), "val/c: class is not one of those in"),
    ],
)
def test_layouts_that_could_be_read_in_two_ways_are_refused(
    folders: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    root = put(tmp_path / "pets", *folders)
    for path in (root, archive_of(root)):
        with pytest.raises(DataError, match=message) as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_a_class_may_be_called_like_a_part(tmp_path: Path) -> None:
    assert load(put(tmp_path, "test", "train", "val")).classes == ("test", "train", "val")


def make_socket(path: Path) -> None:
    short = os.path.relpath(path)  # the path of a socket has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(short)


def make_null(path: Path) -> None:
    path.symlink_to("/dev/null")


def make_broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "a pipe, a socket or a device"),
        (make_socket, "a pipe, a socket or a device"),
        (make_null, "a pipe, a socket or a device"),
        (make_broken_link, "a link to nothing"),
    ],
)
def test_what_is_no_file_is_refused(make, message, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "a", "b")
    make(tmp_path / "a" / "x.png")
    with pytest.raises(DataError, match=f"a/x.png: {message}"):
        load(tmp_path)
    (tmp_path / "a" / "x.png").unlink()
    make(tmp_path / "a" / "x.txt")
    assert load(tmp_path).remarks == "1 .txt ignored"


@pytest.mark.parametrize("name", ["x.npz", "x.tar", "x.tar.gz", "x"])
def test_a_pipe_given_as_a_file_of_data_is_refused(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"{name}: not a file but a pipe, a socket or a device"):
        load(tmp_path / name)
    if "tar" in name:
        with pytest.raises(DataError, match="not a file but a pipe"):
            load_image_archive(tmp_path / name)


@pytest.mark.parametrize(
    ("bad", "fault"), [(b"\xe9t\xe9", "is not UTF-8"), (b"two\nlines", "contains control")]
)
@pytest.mark.parametrize("part", ["class", "image", "path"])
def test_names_that_cannot_be_written_are_refused(
    part: str, bad: bytes, fault: str, tmp_path: Path
) -> None:
    name = os.fsdecode(bad)
    root = put(tmp_path / (name if part == "path" else "pets"), "a", "b")
    if part == "class":
        put(root, name)
    if part == "image":
        (root / "a" / "0.png").rename(root / "a" / f"{name}.png")
    with pytest.raises(DataError, match=fault) as caught:
        load(root)
    assert str(caught.value).isprintable()
    str(caught.value).encode()
    if part == "path":
        np.savez(tmp_path / f"{name}.npz", x=np.zeros((20, 4, 4)), y=np.arange(20) % 2)
        for path in (tmp_path / f"{name}.npz", archive_of(root)):
            with pytest.raises(DataError, match=fault):
                load(path)


def test_names_in_an_archive_are_refused_too(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("L", (4, 4)).save(picture, "PNG")
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for name in ("a/0.png", "b/0.png", os.fsdecode(b"\xe9/0.png")):
            info = tarfile.TarInfo(name)
            info.size = len(picture.getvalue())
            archive.addfile(info, io.BytesIO(picture.getvalue()))
    with pytest.raises(DataError, match=r"'\\udce9/0.png' is a path too long or not printable"):
        load(tmp_path / "a.tar")


def test_names_of_classes_given_with_arrays_are_refused_too() -> None:
    x, y = np.zeros((20, 4, 4)), np.arange(20) % 2
    with pytest.raises(DataError, match=r"data set 'arrays': the name '\\udce9' is not UTF-8"):
        from_arrays(x, y, classes=("a", "\udce9"))
