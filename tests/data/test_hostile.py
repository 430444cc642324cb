"""Arbitrary bytes: a valid array or a DataError, never another exception."""

import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from jcnn.data import DataError, load_image_archive, load_image_folder, load_npz, read_idx

LIMIT = 10**7
quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def idx() -> bytes:
    return b"\0\0\x0b\2\0\0\0\3\0\0\0\2" + bytes(range(12))


def npz(save: Callable = np.savez) -> bytes:
    buffer = io.BytesIO()
    save(buffer, x=np.arange(96, dtype=np.uint8).reshape(6, 4, 4), y=np.arange(6) % 2)
    return buffer.getvalue()


def image(form: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    picture.convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("a/1.png", "b/1.png", "a/2.png", "b/2.png"):
            info = tarfile.TarInfo(name)
            info.size = len(image("PNG"))
            archive.addfile(info, io.BytesIO(image("PNG")))
    return buffer.getvalue()[: buffer.getvalue().rindex(b"IEND") + 2048]


VALID = {
    "idx": idx(),
    "idx.gz": gzip.compress(idx()),
    "npz": npz(),
    "compressed.npz": npz(np.savez_compressed),
    "png": image("PNG"),
    "jpg": image("JPEG"),
    "turned.jpg": image("JPEG", exif=turned(), progressive=True),
    "turned.png": image("PNG", exif=turned()),
    "palette.png": image("PNG", "P", transparency=255),
    "tar": tar(),
    "tar.xz": lzma.compress(tar()),
}


def read(kind: str, raw: bytes, folder: Path) -> None:
    if kind.startswith("idx"):
        (folder / "file").write_bytes(raw)
        array = read_idx(folder / "file", max_bytes=LIMIT)
        assert array.size > 0
    elif kind.endswith("npz"):
        (folder / "file.npz").write_bytes(raw)
        assert load_npz(folder / "file.npz", max_bytes=LIMIT).train_inputs.size > 0
    elif kind.startswith("tar"):
        (folder / "file.tar").write_bytes(raw)
        assert load_image_archive(folder / "file.tar", max_bytes=LIMIT).train_inputs.size > 0
    else:
        for name in ("a", "b"):
            (folder / name).mkdir(exist_ok=True)
            for index in range(2):
                (folder / name / f"{index}.{kind}").write_bytes(VALID[kind])
        (folder / "b" / f"1.{kind}").write_bytes(raw)
        data = load_image_folder(folder, max_bytes=LIMIT)
        assert data.input_shape == (8, 8, 3)


def attempt(kind: str, raw: bytes, folder: Path) -> None:
    try:
        read(kind, raw, folder)
    except DataError as error:
        message = str(error)
        assert str(folder) in message
        assert "\n" not in message


@pytest.mark.parametrize("kind", VALID)
def test_the_untouched_file_is_read(kind: str, tmp_path: Path) -> None:
    read(kind, VALID[kind], tmp_path)


@pytest.mark.parametrize("kind", VALID)
@quick
@given(data=st.data())
def test_changed_bytes(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(VALID[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    attempt(kind, bytes(raw), tmp_path)


@pytest.mark.parametrize("kind", VALID)
@quick
@given(data=st.data())
def test_cut_and_lengthened_files(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(VALID[kind])))
    attempt(kind, VALID[kind][:cut] + data.draw(st.binary(max_size=8)), tmp_path)


@pytest.mark.parametrize("kind", ["idx", "npz", "png", "tar"])
@quick
@example(raw=b"")
@given(raw=st.binary(max_size=64))
def test_random_bytes(kind: str, tmp_path: Path, raw: bytes) -> None:
    attempt(kind, raw, tmp_path)
