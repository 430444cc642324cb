"""Images in tar archives: the same as from a folder, and no header is trusted."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcnn.data import DataError, load, load_image_archive, load_image_folder

PACKERS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}


def picture(shade: int, size: tuple[int, int] = (6, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, 0, 255 - shade)).save(buffer, "PNG")
    return buffer.getvalue()


def contents(around: str = "") -> dict[str, bytes]:
    """Two classes in two parts, in no particular order."""
    shades = {("train", "cat"): 100, ("test", "ant"): 50, ("train", "ant"): 0, ("test", "cat"): 150}
    return {
        f"{around}{part}/{name}/{index}.png": picture(shade + index)
        for (part, name), shade in shades.items()
        for index in (2, 10, 1)
    }


def entry(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar(files: dict[str, bytes], *extra: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, content in (*extra, *(entry(name, raw) for name, raw in files.items())):
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def unpacked(folder: Path, files: dict[str, bytes]) -> Path:
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    return folder


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("around", ["", "./", "pets/", "a/b/"])
def test_an_archive_is_read_as_its_folder(packed: str, around: str, tmp_path: Path) -> None:
    path = tmp_path / f"own.v2.TAR{packed}"
    path.write_bytes(PACKERS[packed](tar(contents(around), entry(around, type=tarfile.DIRTYPE))))
    data = load(path)
    assert (data.name, data.source) == ("own.v2", str(path))
    assert data.classes == ("ant", "cat")
    assert list(data.train_inputs[:, 0, 0, 0]) == [1, 10, 2, 101, 110, 102]
    assert data.digest() == load_image_folder(unpacked(tmp_path / "folder", contents())).digest()


def test_an_archive_without_a_test_part_is_split(tmp_path: Path) -> None:
    files = {name[6:]: raw for name, raw in contents().items() if name.startswith("train/")}
    (tmp_path / "own.tgz").write_bytes(gzip.compress(tar(files)))
    archived = load_image_archive(tmp_path / "own.tgz", seed=3)
    folder = unpacked(tmp_path / "own", files)
    assert archived.digest() == load_image_folder(folder, seed=3).digest()
    assert archived.digest() != load_image_folder(folder, seed=4).digest()


def test_other_files_are_skipped(tmp_path: Path) -> None:
    strays = [
        entry("/etc/passwd", b"root"),
        entry("../../notes.txt", b"stray"),
        entry("pets/train/cat/notes.txt", b"stray"),
        entry("pets/train/cat/._1.png", b"stray"),
        entry(".hidden/cat/1.png", b"stray"),
        entry("pets/train/dog", type=tarfile.SYMTYPE, linkname="/etc"),
        entry("pets/train/cat/pipe", type=tarfile.FIFOTYPE),
        entry("pets/train/cat/disk", type=tarfile.BLKTYPE),
    ]
    (tmp_path / "a.tar").write_bytes(tar(contents("pets/"), *strays))
    assert len(load(tmp_path / "a.tar").train_inputs) == 6
    assert os.listdir(tmp_path) == ["a.tar"]


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (entry("/train/cat/3.png", b"x"), "'/train/cat/3.png' is a path that leads out"),
        (entry("train/../../3.png", b"x"), r"'train/../../3.png' is a path that leads out"),
        (entry("../train", type=tarfile.DIRTYPE), "'../train' is a path that leads out"),
        (entry("train/cat/3.png", type=tarfile.SYMTYPE, linkname="1.png"), "3.png' is a link"),
        (
            entry("train/cat/3.png", type=tarfile.LNKTYPE, linkname="train/cat/1.png"),
            "3.png' is a link",
        ),
        (entry("train/cat/3.png", type=tarfile.FIFOTYPE), "3.png' is a link or another special"),
        (entry("train/c\nt/3.png", b"x"), r"'train/c\\nt/3.png' is a path too long or not print"),
        (entry("train/" + "c" * 5000 + ".png", b"x"), "c' is a path too long"),
        (entry("train/cat/1.png", picture(0)), "train/cat/1.png: appears twice in the archive"),
        (entry("train/cat", b""), None),
        (entry("train/cat/1.png", type=tarfile.DIRTYPE), "train/cat/1.png: appears twice"),
        (entry("train/cat/3.png", b"GIF89a"), "a.tar/train/cat/3.png: not a readable image"),
        (entry("train/cat/3.png"), "a.tar/train/cat/3.png: not a readable image"),
        (
            entry("train/cat/3.png", picture(0, (5, 4))),
            r"3.png: image is 5x4 color, but .*a.tar/train/ant/1.png is 6x4 color",
        ),
        (entry("test/dog/1.png", picture(0)), "test/dog: class is not one of those"),
        (entry("train/dog", type=tarfile.DIRTYPE), "train/dog: class has no images"),
    ],
    ids=lambda value: value[0].name[:20] if isinstance(value, tuple) else "",
)
def test_an_error_names_the_invalid_member(
    member: tuple, message: str | None, tmp_path: Path
) -> None:
    (tmp_path / "a.tar").write_bytes(tar(contents(), member))
    if message is None:
        assert len(load(tmp_path / "a.tar").train_inputs) == 6
        return
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path / "a.tar")
    assert str(tmp_path / "a.tar") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["a.tar"]


def test_a_file_cannot_also_be_a_folder(tmp_path: Path) -> None:
    for first, second in (
        ("train/x.png", "train/x.png/1.png"),
        ("train/x.png/1.png", "train/x.png"),
    ):
        files = {first: picture(0), second: picture(0)}
        (tmp_path / "a.tar").write_bytes(tar(files))
        with pytest.raises(DataError, match="both a file and a folder|twice"):
            load(tmp_path / "a.tar")


RAW = tar(contents())


def sized(name: str, size: int) -> bytes:
    """A header with a negative size: if that refers back to it, some tarfiles never end."""
    info = tarfile.TarInfo(name)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + (size & 0xFFFF).to_bytes(2, "big")
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)


def damaged() -> Iterator[tuple[str, bytes, str]]:
    second = RAW.index(b"train/cat/10.png")
    yield "empty", b"", "not a readable tar archive"
    yield "text", b"nothing like an archive" * 100, "not a readable tar archive"
    yield "half an image", RAW[: second + 520], "train/cat/10.png: truncated"
    yield "half a block", RAW[: second + 600], "not a readable tar archive"
    yield "between members", RAW[:second], "archive is truncated or damaged after"
    yield "half a header", RAW[: second + 100], "archive is truncated or damaged after"
    yield "torn header", RAW[:second] + b"X" + RAW[second + 1 :], "truncated or damaged after"
    yield "two archives", RAW + RAW, "archive continues after its end"
    yield "only zeros", bytes(10240), r"classes are \[\]"
    yield "half gzip", gzip.compress(RAW)[:-20], "not a readable tar archive"
    yield "gzip checksum", gzip.compress(RAW)[:-8] + bytes(8), "not a readable tar archive .*CRC"
    yield "half xz", lzma.compress(RAW)[:-40], "not a readable tar archive"
    for name, size, refused in (
        ("3.txt", -512, "refers back into"),
        ("3.png", -1, "declares -1 by"),
    ):
        header = sized(f"train/cat/{name}", size)
        raw = RAW[:second] + header + RAW[second:]
        yield f"size {size}", raw, f"{refused}|truncated"  # by newer tarfiles
    big = entry("train/cat/3.png")[0]
    big.size = 2**27
    huge = big.tobuf() + bytes(1024)
    yield "huge image", huge, "'train/cat/3.png' has 134,217,728 bytes, expected an image of"
    big.type = tarfile.XHDTYPE
    yield "huge header", big.tobuf() + bytes(1024), "a header in the archive declares 134,217,728"


@pytest.mark.parametrize(("raw", "message"), [pytest.param(*c[1:], id=c[0]) for c in damaged()])
def test_a_damaged_archive_is_refused(raw: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path / "bad.tar")
    assert "bad.tar" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sizes_are_checked_before_memory_is_allocated(tmp_path: Path) -> None:
    info = entry("readme.txt")[0]
    info.size = 2**40
    (tmp_path / "claim.tar").write_bytes(gzip.compress(info.tobuf() + RAW))
    with pytest.raises(DataError, match="would take 1,099,511,62.,... bytes, more than the limit"):
        load(tmp_path / "claim.tar")
    comment = entry("readme.txt", pax_headers={"comment": "x" * 10**6})
    (tmp_path / "a.tar").write_bytes(
        tar({}, *(entry(*item) for item in contents().items()), comment)
    )
    with pytest.raises(DataError, match=r"files in the archive would take 1,01.,... bytes"):
        load_image_archive(tmp_path / "a.tar", max_bytes=10**6)
    assert len(load(tmp_path / "a.tar").train_inputs) == 6
    path = tmp_path / "bomb.tar.xz"
    stray = entry("readme.txt", bytes(10**6))
    path.write_bytes(lzma.compress(tar(contents(), stray)))
    assert path.stat().st_size < 4000
    with pytest.raises(DataError, match=r"bomb.tar.xz: files in the archive would take 1,000,\d+ "):
        load_image_archive(path, max_bytes=10**6)
    assert len(load_image_archive(path, max_bytes=2 * 10**6).train_inputs) == 6
    files = {f"{'ab'[i % 2]}/{i}.png": picture(0, (400, 400)) for i in range(10)}
    path.write_bytes(lzma.compress(tar(files)))
    with pytest.raises(DataError, match=r"\(10, 400, 400, 3\) images .* more than the limit of"):
        load_image_archive(path, max_bytes=10**6)


def test_a_sparse_image_is_refused(tmp_path: Path) -> None:
    """Its size is only declared: in memory, the holes would be filled with zeros."""
    info = tarfile.TarInfo("train/cat/3.png")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = f"{2**25:011o}\0".encode()
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    (tmp_path / "a.tar").write_bytes(bytes(header) + RAW)
    with pytest.raises(DataError, match="'train/cat/3.png' is a link or another special file"):
        load(tmp_path / "a.tar")


@pytest.mark.parametrize("name", ["own.zip", "own.7z", "own.tar.zst", "own.bin", "tar"])
def test_other_archives_must_be_unpacked_first(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\3\4")
    with pytest.raises(DataError, match=r"nor a tar archive .*unpack other archives first"):
        load(tmp_path / name)


def test_paths_of_archives(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such tar archive"):
        load_image_archive(tmp_path / "none.tar")
    with pytest.raises(DataError, match="neither a data set nor a file or folder that exists"):
        load(tmp_path / "none.tar")
    assert len(load(unpacked(tmp_path / "folder.tar", contents())).train_inputs) == 6


def test_real_archive(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    few: dict[str, bytes] = {}
    with tarfile.open(real_data("cifar10-jpeg.tar.xz")) as archive:
        for item in archive:
            if item.isfile() and item.name[-8:-4] < "0004":
                few[item.name] = archive.extractfile(item).read()
    (tmp_path / "few.tar.gz").write_bytes(gzip.compress(tar(few)))
    data = load(tmp_path / "few.tar.gz")
    assert data.input_shape == (32, 32, 3)
    assert data.num_classes == 10
    assert (np.bincount(data.train_targets) == 4).all()
    assert 90 < data.mean.mean() < 160
    assert data.digest() == load(unpacked(tmp_path / "few", few)).digest()
