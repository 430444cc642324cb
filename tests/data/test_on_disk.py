"""Images that do not fit in memory: decoded once into a file, of which parts are read."""

import gc
import threading

import numpy as np
import pytest
from PIL import Image

from jcnn import data, engine
from jcnn.data import images, on_disk
from jcnn.data.errors import DataError
from jcnn.data.on_disk import Rows, is_on_disk
from jcnn.study import Study, first_combination

SIZE = 12


def write(folder, *, parts=("train", "test"), count=24, mode="RGB"):
    rng = np.random.default_rng(0)
    for part in parts:
        for name, low in (("dark", 0), ("light", 120)):
            place = folder / part / name
            place.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(low, low + 130, (SIZE, SIZE, 3)).astype(np.uint8)
                Image.fromarray(pixels).convert(mode).save(place / f"{i:02}.png")


@pytest.fixture
def little_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    return tmp_path / "cache" / "jcnn" / "images"


@pytest.mark.parametrize("parts", [("train", "test"), ("train", "test", "val"), ("",)], ids=str)
def test_the_data_set_is_the_same(parts, tmp_path, request):
    write(tmp_path / "pictures", parts=parts)
    in_memory = data.load_image_folder(tmp_path / "pictures")
    files = request.getfixturevalue("little_memory")
    in_file = data.load_image_folder(tmp_path / "pictures")
    assert is_on_disk(in_file.train_inputs)
    assert not is_on_disk(in_memory.train_inputs)
    assert in_file.digest() == in_memory.digest()
    np.testing.assert_array_equal(in_file.mean, in_memory.mean)
    assert len([*files.glob("*.npy")]) == 1
    assert not [*files.glob("*.partial")]


def test_files_are_decoded_once(tmp_path, little_memory, monkeypatch):
    write(tmp_path / "pictures")
    first = data.load_image_folder(tmp_path / "pictures")
    monkeypatch.setattr(images, "_decode", None)
    again = data.load_image_folder(tmp_path / "pictures")
    assert first.digest() == again.digest()
    monkeypatch.undo()
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "pictures" / "train" / "dark" / "00.png")
    changed = data.load_image_folder(tmp_path / "pictures")
    assert changed.digest() != first.digest()
    resized = data.load_image_folder(tmp_path / "pictures", resize=6)
    assert resized.input_shape == (6, 6, 3)
    assert len([*little_memory.glob("*.npy")]) == 3


def test_grey_images_stay_grey(tmp_path, little_memory):
    write(tmp_path / "pictures", mode="L")
    assert data.load_image_folder(tmp_path / "pictures", resize=6).input_shape == (6, 6, 1)


def test_a_study_trains_the_same_and_holds_windows_only(tmp_path, request, monkeypatch):
    write(tmp_path / "pictures", count=150)
    settings = {
        "data": str(tmp_path / "pictures"),
        "model": "mlp",
        "factors": {"hidden": [(8,)]},
        "learning_rates": [0.1],
        "seeds": 2,
        "epochs": 3,
        "batch_size": 8,
    }
    expected = Study(**settings).run()
    request.getfixturevalue("little_memory")
    read = []
    plain = Rows.__getitem__
    monkeypatch.setattr(
        Rows, "__getitem__", lambda self, index: read.append(plain(self, index)) or read[-1]
    )
    found = Study(**settings, data_memory=100_000).run()
    assert [r.outcome for r in found.records] == [r.outcome for r in expected.records]
    assert max(each.nbytes for each in read) < 100_000 < sum(each.nbytes for each in read)
    again = Study(**settings).run()
    assert [r.outcome for r in again.records] == [r.outcome for r in expected.records]


def test_training_and_validation_examples_together(tmp_path, request):
    write(tmp_path / "pictures", parts=("train", "test", "val"))
    expected = engine.prepare(data.load_image_folder(tmp_path / "pictures"), 0.0)
    request.getfixturevalue("little_memory")
    found = engine.prepare(data.load_image_folder(tmp_path / "pictures"), 0.0)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine[:] if np.ndim(theirs) else mine, theirs)


def test_what_an_interruption_left_is_replaced(tmp_path, little_memory):
    write(tmp_path / "pictures")
    first = data.load_image_folder(tmp_path / "pictures")
    (kept,) = little_memory.glob("*.npy")
    kept.unlink()
    kept.with_suffix(".partial").write_bytes(b"half of it")
    assert data.load_image_folder(tmp_path / "pictures").digest() == first.digest()
    assert [each.suffix for each in sorted(little_memory.iterdir()) if each.suffix != ".lock"] == [
        ".npy"
    ]


def test_what_is_read_on_demand_is_never_read_by_accident():
    with pytest.raises(TypeError, match="take some of their rows first"):
        np.asarray(Rows(np.arange(4), np.array([1, 2])))


def test_a_learning_rate_is_searched_among_a_sample(tmp_path, request, monkeypatch):
    write(tmp_path / "pictures", count=100)
    request.getfixturevalue("little_memory")
    monkeypatch.setattr(first_combination, "_FROM_FILE", 32)
    study = Study(data=str(tmp_path / "pictures"), model="mlp", factors={"hidden": [(8,)]})
    found = first_combination.find_rate_first(study, steps=4, per_decade=1)
    assert len(found.losses) == 5


def test_an_error_leaves_no_file(tmp_path, little_memory, monkeypatch):
    write(tmp_path / "pictures")
    (tmp_path / "pictures" / "test" / "light" / "23.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"light/23.png: not a readable image"):
        data.load_image_folder(tmp_path / "pictures")
    assert not [*little_memory.glob("*.[np]*")]
    monkeypatch.setattr(on_disk.shutil, "disk_usage", lambda folder: type("", (), {"free": 10}))
    (tmp_path / "pictures" / "test" / "light" / "23.png").unlink()
    with pytest.raises(DataError, match="has 10 bytes left, but the images take 41,040"):
        data.load_image_folder(tmp_path / "pictures")


def test_a_given_limit_is_a_limit(tmp_path, little_memory):
    write(tmp_path / "pictures")
    with pytest.raises(DataError, match="more than the limit of 5,000"):
        data.load_image_folder(tmp_path / "pictures", max_bytes=5_000)
    assert not little_memory.exists()


def test_the_next_window_is_read_while_the_device_trains(tmp_path, request, monkeypatch):
    write(tmp_path / "pictures", count=150)
    request.getfixturevalue("little_memory")
    threads = set()
    plain = Rows.__getitem__

    def noted(self, index):
        threads.add(threading.current_thread().name)
        return plain(self, index)

    monkeypatch.setattr(Rows, "__getitem__", noted)
    Study(
        data=str(tmp_path / "pictures"), model="mlp", factors={"hidden": [(8,)]}, epochs=2,
        learning_rates=[0.1], seeds=1, batch_size=8, data_memory=100_000,
    ).run()  # fmt: skip
    assert any(name.startswith("jcnn window") for name in threads)
    gc.collect()
    assert not [t for t in threading.enumerate() if t.name.startswith("jcnn window")]
