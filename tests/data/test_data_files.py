"""IDX, npz and image files: valid files are read exactly, invalid ones raise one clear error."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jcnn.data import DataError, load, load_image_folder, load_npz, read_idx

RNG = np.random.default_rng(0)


def by_message(value: object) -> str:
    """Test names without the bytes of archives, which contain their time of creation."""
    return value if isinstance(value, str) else "file"


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (2, 1, 3, 2)])
@pytest.mark.parametrize("pack", [False, True])
def test_idx_round_trip(
    dtype: str, shape: tuple[int, ...], pack: bool, tmp_path: Path, encode_idx: Callable
) -> None:
    array = (RNG.normal(size=shape) * 50).astype(dtype)
    raw = encode_idx(array)
    (tmp_path / "a").write_bytes(gzip.compress(raw) if pack else raw)
    result = read_idx(tmp_path / "a")
    assert result.dtype == array.dtype
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, array)


IDX = b"\0\0\x08\2\0\0\0\3\0\0\0\2abcdef"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "magic number is truncated"),
        (b"\0\0\x08", "magic number is truncated"),
        (b"PK\3\4" + IDX, "magic number is 504b0304"),
        (b"\0\0\x0a\1" + IDX[4:], "magic number is 00000a01"),
        (b"\0\0\x08\0" + IDX[4:], "number of dimensions is 0"),
        (b"\0\0\x08\xff" + IDX[4:], "number of dimensions is 255"),
        (IDX[:9], "sizes are truncated"),
        (IDX[:-1], r"sizes \(3, 2\) need 6 bytes of elements, but the file holds at most 5"),
        (IDX + b"x", "the file continues"),
        (b"\0\0\x08\2\0\0\0\0\0\0\0\2", r"sizes are \(0, 2\)"),
        (b"\0\0\x08\2\xff\xff\xff\xff\0\0\0\3", "more than the limit of"),
        (b"\0\0\x08\2\0\1\0\0\0\1\0\0abc", "holds at most 3"),
        (gzip.compress(IDX[:-1]), "holds 5"),
        (gzip.compress(IDX + b"x"), "the file continues"),
        (gzip.compress(IDX)[:-9], "not a readable IDX file"),
        (gzip.compress(IDX)[:-5] + b"12345", "CRC"),
        (gzip.compress(b"\0\0\x08\2\0\1\0\0\0\1\0\0abc"), "holds at most"),
    ],
    ids=by_message,
)
def test_an_error_names_the_idx_file_and_field(raw: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad-idx").write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(tmp_path / "bad-idx")
    assert "bad-idx: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_idx_path_and_limit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such IDX file"):
        read_idx(tmp_path / "none")
    with pytest.raises(DataError, match="not a file"):
        read_idx(tmp_path)
    (tmp_path / "a").write_bytes(IDX)
    with pytest.raises(DataError, match="would take 6 bytes, more than the limit of 5"):
        read_idx(tmp_path / "a", max_bytes=5)
    assert read_idx(tmp_path / "a", max_bytes=6).tobytes() == b"abcdef"


X, Y = RNG.integers(0, 256, (20, 6, 6), dtype=np.uint8), np.arange(20) % 2


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "keys",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x", "y", "x_test", "y_test"),
    ],
)
def test_npz_layouts(save: Callable, keys: tuple[str, ...], tmp_path: Path) -> None:
    save(tmp_path / "own.npz", **dict(zip(keys, (X, Y[:, None], X[:4], Y[:4]), strict=True)))
    data = load(tmp_path / "own.npz")
    assert (data.name, data.source) == ("own", str(tmp_path / "own.npz"))
    np.testing.assert_array_equal(data.train_inputs[..., 0], X)
    np.testing.assert_array_equal(data.train_targets, Y)
    np.testing.assert_array_equal(data.test_inputs[..., 0], X[:4])


def test_npz_with_one_pair_is_split(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.asfortranarray(X.astype(">f8")), y=Y, notes=[1])
    data = load_npz(tmp_path / "own.npz")
    assert (len(data.train_inputs), len(data.test_inputs)) == (16, 4)
    assert data.source.endswith("own.npz (notes ignored)")
    stacked = np.concatenate([data.train_inputs, data.test_inputs])[..., 0]
    assert sorted(row.tobytes() for row in stacked.astype(np.uint8)) == sorted(
        row.tobytes() for row in X
    )


def test_npz_volumes_get_a_channel_and_images_do_not(tmp_path: Path) -> None:
    for shape, expected in (((8, 8, 8), (8, 8, 8, 1)), ((8, 8, 3), (8, 8, 3))):
        np.savez(tmp_path / "a.npz", x=np.zeros((20, *shape), np.uint8), y=Y)
        assert load_npz(tmp_path / "a.npz").input_shape == expected


def test_medmnists_validation_part_is_ignored(tmp_path: Path) -> None:
    arrays = {}
    for value, (part, examples) in enumerate((("train", 6), ("val", 2), ("test", 4))):
        arrays[f"{part}_images"] = np.full((examples, 8, 8, 8), value, np.uint8)
        arrays[f"{part}_labels"] = np.arange(examples, dtype=np.uint8)[:, None] % 2
    np.savez_compressed(tmp_path / "adrenal.npz", **arrays)
    data = load(tmp_path / "adrenal.npz")
    assert (data.name, data.classes) == ("adrenal", ("0", "1"))
    assert data.source.endswith("adrenal.npz (val_images, val_labels ignored)")
    assert (data.train_inputs.shape, data.test_inputs.shape) == ((6, 8, 8, 8, 1), (4, 8, 8, 8, 1))
    assert (data.train_inputs == 0).all()
    assert (data.test_inputs == 2).all()
    assert list(data.train_targets) == [0, 1, 0, 1, 0, 1]


def with_member(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
        labels = io.BytesIO()
        np.save(labels, Y)
        archive.writestr("y.npy", labels.getvalue())
    return buffer.getvalue()


def npy(array: np.ndarray, **header: object) -> bytes:
    buffer = io.BytesIO()
    fields = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(buffer, fields | header)
    return buffer.getvalue() + array.tobytes()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not a readable .npz file"),
        (b"nothing like a zip file", "not a readable .npz file"),
        (with_member("z.npy", npy(X)), "array 'x' is missing; the file has z, y"),
        (
            with_member("x.npy", npy(X, shape=(21, 6, 6))),
            "declares shape .* 756 bytes, but has 720",
        ),
        (with_member("x.npy", npy(X, shape=(-20, -6, 6))), "declares shape"),
        (with_member("x.npy", npy(X)[:-1]), "but has 719"),
        (with_member("x.npy", npy(X, descr="|O")), "would need pickle"),
        (with_member("x.npy", npy(X, descr="<U1")), "expected integers or floats"),
        (with_member("x.npy", npy(X, descr=[("a", "u1")])), "expected integers or floats"),
        (with_member("x.npy", b"\x93NUMPY\3\0" + npy(X)[8:]), "header version"),
        (with_member("x.npy", b"not an array"), "not a readable .npz file .*magic"),
        (with_member("x.npy", npy(X), zipfile.ZIP_BZIP2), "compressed by a method"),
        (with_member("x.npy", npy(X[:7])), "do not match"),
    ],
    ids=by_message,
)
def test_an_error_names_the_npz_file_and_array(raw: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        load_npz(tmp_path / "bad.npz")
    assert "bad.npz: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_npz_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([print, None], dtype=object), y=Y)
    with pytest.raises(DataError, match="would need pickle, which is never read"):
        load_npz(tmp_path / "a.npz")


def test_npz_sizes_are_checked_before_memory_is_allocated(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((20, 100, 100), np.uint8), y=Y)
    with pytest.raises(
        DataError, match=r"arrays x, y would take .* more than the limit of 100,000"
    ):
        load_npz(tmp_path / "bomb.npz", max_bytes=100_000)


def test_npz_cannot_declare_more_than_deflate_can_hold(tmp_path: Path) -> None:
    claimed = 2**32
    raw = bytearray(with_member("x.npy", npy(X[:1], shape=(claimed - 128,)), zipfile.ZIP_DEFLATED))
    entry = raw.index(b"PK\1\2")
    raw[entry + 24 : entry + 28] = (claimed - 1).to_bytes(4, "little")
    raw[22:26] = (claimed - 1).to_bytes(4, "little")
    (tmp_path / "bomb.npz").write_bytes(raw)
    with pytest.raises(DataError, match=r"x\.npy declares"):
        load_npz(tmp_path / "bomb.npz")


def test_half_a_test_pair_is_an_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=Y, x_test=X)
    with pytest.raises(DataError, match="array 'y_test' is missing"):
        load_npz(tmp_path / "a.npz")


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
        (spoil_depth, "3.png: image has Pillow mode I"),
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


def test_real_fashion_mnist(real_data: Callable[[str], Path]) -> None:
    data = load("fashion-mnist", data_dir=real_data("fashion-mnist").parent)
    assert data.train_inputs.shape == (60000, 28, 28, 1)
    assert data.test_inputs.shape == (10000, 28, 28, 1)
    assert (np.bincount(data.train_targets) == 6000).all()
    # The published moments are 0.2860 and 0.3530 of 255.
    np.testing.assert_allclose([data.mean[0], data.std[0]], [72.940, 90.021], atol=1e-3)


def test_real_volumes(real_data: Callable[[str], Path]) -> None:
    path = real_data("adrenalmnist3d/adrenalmnist3d_64.npz")
    data = load(path)
    assert data.train_inputs.shape == (1188, 64, 64, 64, 1)
    assert data.test_inputs.shape == (298, 64, 64, 64, 1)
    assert "val_images" in data.source
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(data.test_inputs[..., 0], arrays["test_images"])
        np.testing.assert_array_equal(data.train_targets, arrays["train_labels"][:, 0])
