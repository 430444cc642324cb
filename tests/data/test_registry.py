import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jcnn.data import DataError, available, directories, load
from jcnn.data import mnist as mnist_module
from jcnn.data.digits import ANGLE_UNIT
from jcnn.data.fetch import RemoteFile, cache_dir, fetch


def test_the_list_describes_the_shipped_data_sets() -> None:
    for entry in available():
        if not entry.ready:
            continue
        data = load(entry.name)
        assert entry.input_shape == data.input_shape
        assert entry.train_examples == len(data.train_inputs)
        assert entry.test_examples == len(data.test_inputs)
        assert entry.num_classes == data.num_classes
        assert entry.found == data.source
        assert data.digest() == load(entry.name).digest()


def test_digits_are_those_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    bunch = datasets.load_digits()
    data = load("digits")
    both = np.concatenate([data.train_inputs, data.test_inputs])[..., 0]
    restored = np.sort(np.round(both / 255 * 16).reshape(1797, 64) @ np.arange(1, 65))
    np.testing.assert_array_equal(restored, np.sort(bunch.data @ np.arange(1, 65)))
    counts = np.bincount(data.test_targets)
    np.testing.assert_allclose(counts, np.bincount(bunch.target) * 0.2, atol=1)


def test_digits_do_not_change_from_one_version_to_the_next() -> None:
    assert load("digits").digest().startswith("8ef633f7b064")


def test_rotating_back_restores_the_digits() -> None:
    image_module = pytest.importorskip("PIL.Image")
    upright, turned = load("digits"), load("digits-rotated")
    assert turned.task == "regression"
    assert np.abs(turned.train_targets).max() <= 1
    assert turned.train_targets.std() == pytest.approx(1 / np.sqrt(3), rel=0.05)

    def error(sign: float) -> float:
        back = [
            np.asarray(
                image_module.fromarray(image[..., 0]).rotate(
                    sign * float(target) * ANGLE_UNIT, image_module.Resampling.BILINEAR
                )
            )
            for image, target in zip(turned.test_inputs, turned.test_targets, strict=True)
        ]
        return float(np.abs(np.stack(back) - upright.test_inputs[..., 0].astype(float)).mean())

    # Interpolating twice blurs, but turning back must come closer than standing or turning on.
    assert error(-1) < 0.8 * error(0) < error(1)


def test_rotation_is_counter_clockwise() -> None:
    turned, upright = load("digits-rotated"), load("digits")
    ones = (upright.train_targets == 1) & (np.abs(turned.train_targets) > 0.6)
    rows, columns = np.mgrid[0:8, 0:8] - 3.5
    for image, target in zip(
        turned.train_inputs[ones][:20, ..., 0], turned.train_targets[ones][:20], strict=True
    ):
        # An upright stroke that turns counter-clockwise leans to the left at the top.
        lean = (image * rows * columns).sum()
        assert np.sign(lean) == np.sign(target)


def test_a_frame_of_moving_digits_is_the_previous_one_shifted() -> None:
    data = load("moving-digits")
    moves = {"right": (0, 1), "left": (0, -1), "up": (-1, 0), "down": (1, 0)}
    assert data.classes == tuple(moves)
    for label, move in enumerate(moves.values()):
        clips = data.test_inputs[data.test_targets == label]
        assert len(clips) == 75
        np.testing.assert_array_equal(
            clips[:, 1:], np.roll(clips[:, :-1], move, axis=(2, 3)), err_msg=str(move)
        )
    assert (data.test_inputs.reshape(300, -1).max(axis=1) > 200).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "did you mean digits"),
        ("fashionmnist", "did you mean fashion-mnist"),
        ("no/such/thing", "known: digits, digits-rotated"),
        ("none.npz", "no such .npz file"),
        ("", "known: "),
        ("x" * 5000, "known: "),
    ],
)
def test_unknown_names_suggest_the_nearest(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(name)


@pytest.mark.parametrize("sub_folder", ["", "kmnist"])
@pytest.mark.parametrize("by", ["data_dir", "JCNN_DATA", "cache", "system"])
def test_idx_sets_are_found(
    sub_folder: str,
    by: str,
    tmp_path: Path,
    write_idx_set: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base, options = tmp_path, {}
    if by == "data_dir":
        options = {"data_dir": tmp_path}
    elif by == "JCNN_DATA":
        monkeypatch.setenv("JCNN_DATA", str(tmp_path))
    else:
        base = cache_dir() if by == "cache" else directories.SYSTEM_DIR
        sub_folder = "kmnist"
    folder = write_idx_set(base / sub_folder, pack=by != "system")
    entry = next(entry for entry in available(**options) if entry.name == "kmnist")
    assert (entry.ready, entry.found) == (True, str(folder))
    data = load("kmnist", download=False, **options)
    assert (data.source, data.input_shape, data.classes[1]) == (str(folder), (4, 4, 1), "ki")
    assert len(data.train_inputs) == 12


def test_data_dir_comes_before_the_environment(
    tmp_path: Path, write_idx_set: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx_set(tmp_path / "environment" / "mnist")
    monkeypatch.setenv("JCNN_DATA", str(tmp_path / "environment"))
    write_idx_set(tmp_path / "argument")
    assert load("mnist", data_dir=tmp_path / "argument").source == str(tmp_path / "argument")


def test_an_idx_folder_and_dotted_names(tmp_path: Path, write_idx_set: Callable) -> None:
    folder = write_idx_set(tmp_path / "own", pack=False)
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("-idx", ".idx"))
    data = load(folder)
    assert (data.name, data.classes) == ("own", tuple("0123456789"))


def test_if_not_found_the_error_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"put train-images-idx3-ubyte.gz, .* into DIR/mnist and set"
    ):
        load("mnist", download=False)
    with pytest.raises(DataError, match=f"into {tmp_path / 'mnist'}"):
        load("mnist", data_dir=tmp_path, download=False)
    with pytest.raises(DataError, match="no such directory"):
        load("mnist", data_dir=tmp_path / "none", download=False)
    missing = [entry for entry in available() if not entry.ready]
    assert [entry.name for entry in missing] == ["mnist", "fashion-mnist", "kmnist", "cifar10"]
    assert all("not found: put" in entry.found for entry in missing)


def test_inconsistent_idx_sets(
    tmp_path: Path, write_idx_set: Callable, encode_idx: Callable
) -> None:
    folder = write_idx_set(tmp_path, pack=False)
    labels = folder / "train-labels-idx1-ubyte"
    for spoiled, message in (
        (np.zeros(11, np.uint8), "one unsigned byte for each of the 12 images"),
        (np.zeros((12, 2), np.uint8), r"labels are uint8 of shape \(12, 2\)"),
        (np.zeros(12, np.float32), "labels are float32"),
        (np.full(12, 10, np.uint8), "label 10 is outside 0 to 9"),
    ):
        labels.write_bytes(encode_idx(spoiled))
        with pytest.raises(DataError, match=message) as caught:
            load("mnist", data_dir=tmp_path)
        assert str(labels) in str(caught.value)
    labels.write_bytes(encode_idx(np.arange(12, dtype=np.uint8) % 10))
    images = folder / "train-images-idx3-ubyte"
    images.write_bytes(encode_idx(np.zeros(12, np.uint8)))
    with pytest.raises(DataError, match=r"images have shape \(12,\)"):
        load("mnist", data_dir=tmp_path)
    images.write_bytes(encode_idx(np.zeros((12, 3, 3), np.uint8)))
    with pytest.raises(DataError, match="must agree"):
        load("mnist", data_dir=tmp_path)
    labels.unlink()
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte .* is missing"):
        load("mnist", data_dir=tmp_path)


def test_files_of_another_set_are_refused(real_data: Callable[[str], Path]) -> None:
    folder = real_data("fashion-mnist")
    with pytest.raises(DataError, match="this is fashion-mnist, not mnist"):
        load("mnist", data_dir=folder)


def test_known_digests_are_those_of_the_real_files(real_data: Callable[[str], Path]) -> None:
    folder = real_data("fashion-mnist")
    for remote in mnist_module.FASHION_MNIST.remote_files:
        raw = (folder / remote.name).read_bytes()
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (remote.size, remote.sha256)


def served_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish the files of a folder as "mnist"."""
    raws = [(folder / f"{name}.gz").read_bytes() for name in mnist_module.FILE_NAMES]
    source = replace(
        mnist_module.MNIST,
        base_url=f"{folder.as_uri()}/",
        sizes=tuple(len(raw) for raw in raws),
        sha256=tuple(hashlib.sha256(raw).hexdigest() for raw in raws),
    )
    monkeypatch.setitem(mnist_module.IDX_SOURCES, "mnist", source)


def test_download_fills_the_cache_once(
    tmp_path: Path, write_idx_set: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_idx_set(tmp_path / "server")
    served_set(folder, monkeypatch)
    data = load("mnist")
    assert data.source == str(cache_dir() / "mnist")
    for path in folder.iterdir():
        path.unlink()
    assert load("mnist").digest() == data.digest()


def test_an_interrupted_download_is_completed_later(
    tmp_path: Path, write_idx_set: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_idx_set(tmp_path / "server")
    served_set(folder, monkeypatch)
    kept = folder / "train-labels-idx1-ubyte.gz"
    kept.rename(tmp_path / "aside")
    with pytest.raises(DataError, match=r"download into .* failed .*without a network, put"):
        load("mnist")
    (tmp_path / "aside").rename(kept)
    assert len(load("mnist").train_inputs) == 12


@pytest.mark.parametrize("change", [{"size": 5}, {"size": 7}, {"sha256": "0" * 64}])
def test_a_download_that_is_not_the_published_file_leaves_nothing(
    change: dict, tmp_path: Path
) -> None:
    (tmp_path / "served").write_bytes(b"abcdef")
    right = RemoteFile(
        "a", (tmp_path / "served").as_uri(), 6, hashlib.sha256(b"abcdef").hexdigest()
    )
    target = tmp_path / "cache"
    with pytest.raises(DataError, match="not the published file"):
        fetch(replace(right, **change), target)
    assert list(target.iterdir()) == []
    assert fetch(right, target).read_bytes() == b"abcdef"


def test_an_unreachable_address_leaves_nothing(tmp_path: Path) -> None:
    absent = RemoteFile("a", (tmp_path / "absent").as_uri(), 6, "")
    with pytest.raises(DataError, match=r"absent: download into .* failed"):
        fetch(absent, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
