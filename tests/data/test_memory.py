"""Files that are small on disk and large in memory are refused before they are decoded."""

import gzip
import io
import lzma
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcnn.data import DataError, load, load_image_folder, load_npz, read_idx

MOST = 2**28


def black(width: int, height: int) -> bytes:
    """A PNG file of black pixels, written in strips."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 + width)) for _ in range(height)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def images(root: Path, content: bytes, each: int) -> Path:
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for index in range(each):
            (root / name / f"{index}.png").write_bytes(content)
    return root


def npz(path: Path, header: bytes, *, zeros: int) -> Path:
    """An array of zeros under this header."""
    labels = io.BytesIO()
    np.save(labels, np.arange(20) % 2)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w") as member:
            member.write(header)
            for start in range(0, zeros, 2**22):
                member.write(bytes(min(2**22, zeros - start)))
        archive.writestr("y.npy", labels.getvalue())
    return path


def npy_header(shape: tuple[int, ...], dtype: str) -> bytes:
    buffer = io.BytesIO()
    fields = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


def large_image(folder: Path) -> Path:
    return images(folder / "large", black(4097, 4096), 2)


def far_larger_image(folder: Path) -> Path:
    """Pillow itself refuses it, when it opens the file."""
    return images(folder / "larger", black(20_000, 10_000), 2)


def many_images(folder: Path) -> Path:
    return images(folder / "many", black(4096, 4096), 9)


def npz_of_bytes(folder: Path) -> Path:
    return npz(folder / "bytes.npz", npy_header((20, MOST // 20), "|u1"), zeros=MOST // 20 * 20)


def npz_of_bools(folder: Path) -> Path:
    """They become float32, of four times their size."""
    count = MOST // 80
    return npz(folder / "bools.npz", npy_header((20, count), "|b1"), zeros=20 * count)


def npz_with_a_long_header(folder: Path) -> Path:
    return npz(folder / "long.npz", b"\x93NUMPY\2\0\xff\xff\xff\x7f", zeros=MOST)


def gzipped_idx(folder: Path) -> Path:
    (folder / "idx").mkdir()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        with gzip.open(folder / "idx" / f"{name}.gz", "wb", compresslevel=6) as file:
            file.write(struct.pack(">II", 0x0801, MOST + 1))
            for _ in range(MOST // 2**22):
                file.write(bytes(2**22))
            file.write(b"\0")
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (folder / "idx" / name).write_bytes(b"")
    return folder / "idx"


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with lzma.open(path, "wb", preset=0) as file:
        for info, content in members:
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            file.write(content.ljust(-(-len(content) // 512) * 512, b"\0"))
        file.write(bytes(10240))
    return path


def tar_of_zeros(folder: Path) -> Path:
    members = []
    for index in range(5):
        info = tarfile.TarInfo(f"a/{index}.png")
        info.size = 2**26
        members.append((info, bytes(2**26)))
    return packed(folder / "zeros.tar.xz", *members)


def tar_of_headers(folder: Path) -> Path:
    """tarfile reads headers that follow each other by recursion, and keeps them all."""
    info = tarfile.TarInfo("a/x.png")
    info.type = tarfile.XHDTYPE
    content = b"1000000 comment=".ljust(999_999, b"x") + b"\n"
    info.size = len(content)
    return packed(folder / "headers.tar.xz", *[(info, content)] * 100)


BOMBS: list[tuple[Callable[[Path], Path], str]] = [
    (large_image, "0.png: image has more than 16,777,216 pixels; make it smaller"),
    (far_larger_image, "0.png: image has more than 16,777,216 pixels; make it smaller"),
    (many_images, r"\(18, 4096, 4096, 1\) images in uint8 would take 301,989,888 bytes, far more"),
    (npz_of_bytes, r"arrays x, y would take 268,435,\d+ bytes, far more than the 26\d,\d+ bytes"),
    (npz_of_bools, r"arrays x, y would take 268,435,\d+ bytes, far more than the \d+,\d+ bytes"),
    (npz_with_a_long_header, "not a readable .npz file .*reading array header"),
    (gzipped_idx, r"sizes \(268435457,\) of uint8 would take 268,435,457 bytes, far more"),
    (tar_of_zeros, r"files in the archive would take 268,4\d+,\d+ bytes, far more"),
    (tar_of_headers, "declares 1,000,448 bytes, expected 0 to 2,097,152 in all headers of a file"),
]

SCRIPT = """\
import resource, sys
from jcnn.data import load
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load(sys.argv[1])
except ValueError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    print(error)
"""


@pytest.mark.parametrize(("make", "message"), BOMBS)
def test_a_small_file_that_takes_much_memory_is_refused(
    make: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(make(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_no_small_file_takes_a_gigabyte(tmp_path: Path) -> None:
    for make, message in BOMBS:
        path = make(tmp_path)
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        assert sum(file.stat().st_size for file in files) < 8 * 2**20
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT, path], capture_output=True, text=True, check=True
        )
        grown, error = run.stdout.splitlines()
        assert int(grown) < 2**20, (make, message)  # kilobytes
        assert error


def test_a_limit_of_the_users_own_takes_the_place_of_the_default(tmp_path: Path) -> None:
    shape = (20, 4000)
    path = npz(tmp_path / "a.npz", npy_header(shape, "|u1"), zeros=80_000)
    assert load_npz(path, max_bytes=10**5).input_shape == (4000,)
    with pytest.raises(DataError, match="more than the limit of 10,000; use fewer"):
        load_npz(path, max_bytes=10**4)
    root = images(tmp_path / "few", black(100, 100), 2)
    assert load_image_folder(root, max_bytes=40_000).input_shape == (100, 100, 1)
    with pytest.raises(DataError, match=r"\(4, 100, 100, 1\) images in uint8 would take 40,000"):
        load_image_folder(root, max_bytes=39_999)


def test_a_well_compressed_file_within_the_limits_is_read(tmp_path: Path) -> None:
    data = load(images(tmp_path / "black", black(1000, 1000), 5))
    assert data.train_inputs.shape == (8, 1000, 1000, 1)
    (tmp_path / "idx").write_bytes(gzip.compress(struct.pack(">II", 0x0801, 10**6) + bytes(10**6)))
    assert len(read_idx(tmp_path / "idx")) == 10**6


def test_a_file_of_an_image_has_at_most_64_mebibytes(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("L", (4, 4)).save(picture, "PNG")
    root = images(tmp_path / "long", picture.getvalue(), 2)
    with (root / "a" / "0.png").open("ab") as file:
        file.truncate(2**26 + 1)  # a hole, which takes no space on disk
    with pytest.raises(DataError, match="0.png: image has more than 67,108,864 bytes"):
        load(root)
