"""npz files: what is right is read exactly, what is wrong is one clear error."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jcnn.data import DataError, load, load_npz
from tests.data.ids import by_message

RNG = np.random.default_rng(0)


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


def test_real_volumes(real_data: Callable[[str], Path]) -> None:
    path = real_data("adrenalmnist3d/adrenalmnist3d_64.npz")
    data = load(path)
    assert data.train_inputs.shape == (1188, 64, 64, 64, 1)
    assert data.test_inputs.shape == (298, 64, 64, 64, 1)
    assert "val_images" in data.source
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(data.test_inputs[..., 0], arrays["test_images"])
        np.testing.assert_array_equal(data.train_targets, arrays["train_labels"][:, 0])
