"""Data sets of other libraries, read by `from_source` and by a study."""

import itertools

import numpy as np
import pytest

import jcnn
from jcnn import engine
from jcnn.data import DataError, from_arrays, from_source
from jcnn.study import Study
from tests.small import SMALL

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
LABELS = np.arange(40) % 4
NAMES = ("ant", "bee", "cat", "dog")
PAIRS = [*zip(IMAGES, LABELS, strict=True)]


def check(data, images=IMAGES, labels=LABELS):
    """All examples are there, split into training and test examples."""
    found = np.concatenate([data.train_inputs, data.test_inputs])
    targets = np.concatenate([data.train_targets, data.test_targets])
    assert found.shape == images.shape
    whole = sorted(zip(images.sum((1, 2, 3)).tolist(), labels.tolist(), strict=True))
    assert sorted(zip(found.sum((1, 2, 3)).tolist(), targets.tolist(), strict=True)) == whole


@pytest.mark.filterwarnings("ignore")
def test_hugging_face():
    import datasets
    from PIL import Image

    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=[*NAMES])}
    )
    rows = {"image": [Image.fromarray(x[..., 0]) for x in IMAGES], "label": LABELS.tolist()}
    whole = datasets.Dataset.from_dict(rows, features=features)
    data = from_source(whole)
    check(data)
    assert data.classes == NAMES
    parts = datasets.DatasetDict(
        {"train": whole.select(range(24)), "validation": whole.select(range(24, 32)),
         "test": whole.select(range(32, 40)), "unsupervised": whole}
    )  # fmt: skip
    data = from_source(parts)
    np.testing.assert_array_equal(data.train_inputs, IMAGES[:24])
    np.testing.assert_array_equal(data.validation_inputs, IMAGES[24:32])
    np.testing.assert_array_equal(data.test_targets, LABELS[32:])
    assert data.remarks == "unsupervised ignored"
    del parts["test"]
    data = from_source(parts)
    assert data.validation_inputs is None
    assert "the validation part is the test set" in data.remarks
    np.testing.assert_array_equal(data.test_inputs, IMAGES[24:32])


@pytest.mark.filterwarnings("ignore")
def test_grain():
    import grain

    examples = [{"image": x, "label": y} for x, y in PAIRS]
    dataset = grain.MapDataset.source(examples)
    check(from_source(dataset))
    check(from_source(dataset.batch(7)))
    check(from_source(dataset.to_iter_dataset()))
    few = dataset.filter(lambda example: example["label"] != 3)
    check(from_source(few), IMAGES[LABELS != 3], LABELS[LABELS != 3])
    doubled = from_source(dataset.map(lambda example: {**example, "image": example["image"] // 2}))
    assert doubled.train_inputs.max() <= 127


def test_torch():
    torch = pytest.importorskip("torch")
    tensors = torch.tensor(np.moveaxis(np.repeat(IMAGES, 3, axis=-1), -1, 1)).float()
    dataset = torch.utils.data.TensorDataset(tensors, torch.tensor(LABELS))
    images = np.repeat(IMAGES, 3, axis=-1)
    for source in (dataset, torch.utils.data.DataLoader(dataset, batch_size=6)):
        data = from_source(source)
        check(data, images.astype(np.float32))
        assert data.remarks == "channels moved to the last axis"


class TfData:
    """What `tf.data.Dataset` has of use here."""

    def as_numpy_iterator(self):
        return ((IMAGES[i : i + 8], LABELS[i : i + 8]) for i in range(0, 40, 8))


def test_batches():
    check(from_source(TfData()))
    check(from_source((IMAGES[i : i + 9], LABELS[i : i + 9]) for i in range(0, 40, 9)))
    check(from_source({"x": x, "y": y} for x, y in PAIRS))
    check(from_source(PAIRS))
    values = from_source([(x, np.float32(y)) for x, y in PAIRS])
    assert values.task == "regression"
    vectors = [(x, np.full(8, y, np.float32)) for x, y in PAIRS]
    assert from_source(vectors, batched=False).train_targets.shape == (32, 8)
    floats = [(IMAGES[i : i + 8], LABELS[i : i + 8].astype(np.float32)) for i in range(0, 40, 8)]
    for source in (floats, iter(floats)):
        assert from_source(source, batched=True).train_targets.shape == (32,)
    for source in (vectors, floats, iter(floats)):
        with pytest.raises(DataError, match=r"may be a batch or one example; say which"):
            from_source(source)


def test_images_of_pillow_are_read_as_displayed():
    from PIL import Image

    rgb = RNG.integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    palettes = [Image.fromarray(x).quantize(4) for x in rgb]
    data = from_source([(image, i % 2) for i, image in enumerate(palettes)])
    shown = np.stack([np.asarray(image.convert("RGB")) for image in palettes])
    check(data, shown, np.arange(12) % 2)
    clear = Image.new("RGBA", (8, 8), (1, 2, 3, 0))
    with pytest.raises(DataError, match="transparent pixels"):
        from_source([(clear, 0), (clear, 1)])


@pytest.mark.filterwarnings("ignore")
def test_parts_that_name_their_classes_differently():
    import datasets

    def part(names):
        features = datasets.Features(
            {"x": datasets.Array2D((4, 4), "float32"), "label": datasets.ClassLabel(names=names)}
        )
        rows = {"x": np.zeros((4, 4, 4), np.float32).tolist(), "label": [0, 1, 0, 1]}
        return datasets.Dataset.from_dict(rows, features=features)

    both = {"train": part(["a", "b"]), "test": part(["b", "a"])}
    with pytest.raises(DataError, match="the classes of the test part are b, a, those of the tra"):
        from_source(both)


def test_a_generator_is_read_once_by_a_study():
    settings = SMALL | {"model": "mlp", "factors": {"hidden": [(4,)]}, "batch_size": 8}
    study = Study(data=(pair for pair in PAIRS), **settings)
    first = study.run()
    assert study.run().records[0].outcome.test == first.records[0].outcome.test
    assert first.best_model().test
    study = Study(data=(PAIRS[:24], PAIRS[24:32], PAIRS[32:]), **settings)
    assert study.prepare().dataset.validation_inputs is not None
    batches = [(IMAGES[:20], LABELS[:20]), (IMAGES[20:], LABELS[20:])]
    check(Study(data=batches, **settings).prepare().dataset)


def test_a_study_takes_them():
    settings = SMALL | {"model": "mlp", "factors": {"hidden": [(4,)]}, "batch_size": 8}
    arrays = {"train": PAIRS[:24], "validation": PAIRS[24:32], "test": PAIRS[32:]}
    for data in (
        arrays,
        ((IMAGES[:24], LABELS[:24]), (IMAGES[24:32], LABELS[24:32]), (IMAGES[32:], LABELS[32:])),
        (PAIRS[:24].__iter__(), iter(PAIRS[24:32]), iter(PAIRS[32:])),
    ):
        prepared = Study(data=data, **settings).prepare()
        np.testing.assert_array_equal(prepared.data.inputs, IMAGES[:24])
        assert int(prepared.data.validation_batches) == 1
        assert prepared.data.held_weights[0].sum() == prepared.data.held_weights[1].sum() == 8
    result = Study(data=arrays, **settings).run()
    assert result.test_examples == 8
    both = Study(data=arrays, **settings).prepare(with_validation=True)
    np.testing.assert_array_equal(both.data.inputs, IMAGES[:32])
    two = Study(data=((IMAGES[:32], LABELS[:32]), (IMAGES[32:], LABELS[32:])), **settings)
    assert len(two.prepare().dataset.test_inputs) == 8
    assert Study(data=PAIRS, **settings).prepare().dataset.input_shape == (8, 8, 1)


def test_validation_examples_are_part_of_the_digest():
    whole = from_arrays(IMAGES[:24], LABELS[:24], test_inputs=IMAGES[32:], test_targets=LABELS[32:])
    other = from_arrays(
        IMAGES[:24], LABELS[:24], test_inputs=IMAGES[32:], test_targets=LABELS[32:],
        validation_inputs=IMAGES[24:32], validation_targets=LABELS[24:32],
    )  # fmt: skip
    assert whole.digest() != other.digest()
    assert len(engine.prepare(whole, 0.25).inputs) == 18
    assert len(engine.prepare(other, 0.25).inputs) == 24
    with pytest.raises(DataError, match="validation_inputs and validation_targets go together"):
        from_arrays(IMAGES, LABELS, validation_inputs=IMAGES)
    with pytest.raises(DataError, match="validation_targets has class '3', which no training"):
        from_arrays(IMAGES[:3], LABELS[:3], test_inputs=IMAGES[:3], test_targets=LABELS[:3],
                    validation_inputs=IMAGES[3:6], validation_targets=LABELS[3:6])  # fmt: skip


@pytest.mark.parametrize("kind", [np.array, list, lambda names: np.array(names, object)])
def test_labels_that_are_strings(kind):
    names = [NAMES[label] for label in LABELS]
    data = from_arrays(IMAGES, kind(names))
    assert data.classes == NAMES
    check(data)
    swapped = from_arrays(IMAGES, kind(names), classes=NAMES[::-1])
    check(swapped, labels=3 - LABELS)
    with pytest.raises(DataError, match="label 'dog' is not one of the classes"):
        from_arrays(IMAGES, kind(names), classes=NAMES[:3])
    with pytest.raises(DataError, match="strings in one part and numbers in another"):
        from_arrays(IMAGES, kind(names), test_inputs=IMAGES, test_targets=LABELS)


def test_what_cannot_be_read():
    with pytest.raises(DataError, match="none of the fields pixels, kind is known as the inputs"):
        from_source([{"pixels": IMAGES[0], "kind": 1}])
    named = [{"pixels": x, "kind": y} for x, y in PAIRS]
    check(from_source(named, inputs="pixels", target="kind"))
    with pytest.raises(DataError, match=r"example 1 has shape \(4, 8, 1\), the first \(8, 8, 1\)"):
        from_source([(IMAGES[0], 0), (IMAGES[1][:4], 1)])
    endless = ((IMAGES[:8], LABELS[:8]) for _ in itertools.count())
    with pytest.raises(DataError, match=r"more than 10,000 bytes; is it endless\?"):
        from_source(endless, max_bytes=10_000)
    used = iter(PAIRS)
    check(from_source(used))
    with pytest.raises(DataError, match="an iterator can be read only once"):
        from_source(used)
    with pytest.raises(DataError, match="an example is a ndarray; expected a pair"):
        from_source(iter(IMAGES))
    with pytest.raises(DataError, match=r"has the parts \['a', 'b'\], expected one called train"):
        from_source({"a": PAIRS, "b": PAIRS})
    with pytest.raises(DataError, match="is a int; expected arrays"):
        from_source(3)
    with pytest.raises(jcnn.errors.UsageError, match=r"expected a name, a path, \(inputs, targets"):
        Study(data=(IMAGES, LABELS, IMAGES), factors={}).prepare()
