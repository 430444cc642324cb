"""Images of many sizes and kinds, brought to one."""

import json

import numpy as np
import pytest
from PIL import Image

from jcnn.cli.main import main
from jcnn.data import DataError, load, load_image_archive, load_image_folder
from jcnn.data.resize import Resize, as_resize
from jcnn.errors import UsageError
from jcnn.study import Study


@pytest.fixture
def pets(tmp_path):
    """Six images of a class, left half black and right half of its shade, of three kinds."""
    for shade, name in ((100, "ant"), (200, "cat")):
        (tmp_path / name).mkdir()
        for i, size in enumerate([(8, 8), (20, 10), (10, 30), (64, 64), (9, 8), (8, 8)]):
            image = Image.new("L", size)
            image.paste(shade, (size[0] // 2, 0, *size))
            ending = (".png", ".webp", ".jpg")[i % 3]
            image.convert("RGB" if i % 2 or ending == ".webp" else "L").save(
                tmp_path / name / f"{i}{ending}", quality=95
            )
    return tmp_path


@pytest.mark.parametrize("resize", [8, "8x8", (8, 8), "8:crop", Resize(8, 8)])
def test_all_images_become_alike(pets, resize):
    data = load_image_folder(pets, resize=resize)
    images = np.concatenate([data.train_inputs, data.test_inputs])
    labels = np.concatenate([data.train_targets, data.test_targets])
    assert images.shape == (12, 8, 8, 3)
    assert data.remarks == "images scaled and cropped to 8x8"
    assert data.source.endswith("(images scaled and cropped to 8x8)")
    assert images[:, :, :2].max() < 30  # ringing, and JPEG
    shades = images[:, :, 6:].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(shades, np.where(labels == 0, 100, 200), atol=4)


def test_padding_keeps_the_whole_image(pets):
    for name in ("ant", "cat"):
        for file in (pets / name).iterdir():
            file.unlink()
        for i in range(5):
            Image.new("L", (20, 10), 200).save(pets / name / f"{i}.png")
    padded, cropped = load(pets, resize="8x8:pad"), load(pets, resize="8x8")
    assert padded.input_shape == (8, 8, 1)
    assert (padded.train_inputs[:, 2:6] == 200).all()
    assert (padded.train_inputs[:, [0, 1, 6, 7]] == 0).all()
    assert (cropped.train_inputs == 200).all()
    assert load(pets, resize="4x12").input_shape == (4, 12, 1)


def test_an_image_of_the_size_stays_as_it_is(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            pixels = rng.integers(0, 256, (6, 4, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    for resize in ("6x4", "6x4:pad"):
        assert load(tmp_path, resize=resize).digest() == load(tmp_path).digest()


def test_without_it_the_error_names_it(pets):
    with pytest.raises(DataError, match=r"resize \(--resize 224\) brings all images to one size"):
        load(pets)


def test_archives_too(pets, tmp_path_factory):
    import tarfile

    path = tmp_path_factory.mktemp("archives") / "pets.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(pets, "pets")
    assert load_image_archive(path, resize=8).digest() == load(pets, resize=8).digest()


@pytest.mark.parametrize("resize", [0, -3, 5000, "large", "8x", "8:stretch", (8,), 2.5, True])
def test_sizes_that_make_no_sense(resize, pets):
    with pytest.raises(UsageError, match=r"expected a size from 1 to 4096, such as 224"):
        Study(str(pets), resize=resize)


def test_what_has_no_images():
    with pytest.raises(DataError, match="resize is for folders and archives of images"):
        load("digits", resize=8)
    with pytest.raises(UsageError, match="resize the arrays first"):
        Study(data=(np.zeros((9, 8, 8)), np.arange(9) % 2), resize=8).prepare()


def test_a_study_and_its_file(pets, tmp_path_factory, capsys, monkeypatch):
    out = tmp_path_factory.mktemp("out") / "x"
    words = ["--data", str(pets), "--model", "mlp", "--activation", "relu", "--epochs", "1"]
    words += ["--learning-rate", "0.1", "--seeds", "1", "--batch-size", "4", "--no-report"]
    words += ["--validation-fraction", "0.3", "--json", "--out", str(out)]
    assert main(["compare", *words, "--resize", "8:pad"]) == 0
    assert json.loads(capsys.readouterr().out)["study"]["resize"] == "8x8:pad"
    assert 'resize = "8x8:pad"' in (out / "study.toml").read_text()
    assert main(["compare", str(out), "--json", "--no-report"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["environment"]["runs_trained"] == 0
    assert "images scaled and padded to 8x8" in " ".join(told["notes"])
    assert as_resize(told["study"]["resize"]) == Resize(8, 8, pad=True)
