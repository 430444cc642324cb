"""Samples of examples: balanced by class, random, repeatable, and used to measure."""

import numpy as np
import pytest

from jcnn import data, engine
from jcnn.data import sample_indices
from jcnn.explore.subject import Subject
from jcnn.study import Study, inspect_model
from jcnn.study.first_combination import diagnose_first

RNG = np.random.default_rng(0)


def test_every_beginning_of_a_sample_is_balanced():
    labels = np.repeat(np.arange(4, dtype=np.int32), [500, 60, 40, 7])
    for count in range(1, 29):
        drawn = np.bincount(labels[sample_indices(labels, count)], minlength=4)
        assert drawn.max() - drawn.min() <= 1


def test_small_classes_are_used_up_and_the_others_share_the_rest():
    labels = np.repeat(np.arange(3), [5, 100, 100])
    assert np.bincount(labels[sample_indices(labels, 45)]).tolist() == [5, 20, 20]


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
def test_targets_that_are_not_labels_are_sampled_uniformly(shape):
    targets = np.sort(RNG.normal(size=shape), axis=0).astype(np.float32)
    drawn = sample_indices(targets, 20)
    assert len(set(drawn.tolist())) == 20
    means = [sample_indices(targets, 20, seed=seed).mean() for seed in range(200)]
    assert abs(np.mean(means) - 24.5) < 1


@pytest.mark.parametrize("targets", [np.arange(60) % 3, np.linspace(0, 1, 60)])
def test_a_sample_is_without_replacement_and_follows_from_the_seed(targets):
    whole = sample_indices(targets, 1000)
    assert sorted(whole.tolist()) == list(range(60))
    np.testing.assert_array_equal(whole, sample_indices(targets, 60))
    np.testing.assert_array_equal(whole[:10], sample_indices(targets, 10))
    assert (whole != sample_indices(targets, 60, seed=1)).any()
    assert len(sample_indices(targets[:0], 5)) == 0


def test_within_a_class_every_example_is_equally_likely():
    labels = np.repeat([0, 1], 10)
    drawn = np.concatenate([sample_indices(labels, 6, seed=seed) for seed in range(2000)])
    np.testing.assert_allclose(np.bincount(drawn, minlength=20) / 2000, 0.3, atol=0.05)


def sorted_by_class() -> data.Dataset:
    """Four classes, each with its own image, in the order of an image folder."""
    labels = np.repeat(np.arange(4, dtype=np.int32), 200)
    images = np.zeros((800, 4, 4, 1), np.uint8)
    images[np.arange(800), labels] = 255  # class c lights row c
    few = images[::50], labels[::50]
    return data.Dataset("sorted", images, labels, *few, tuple("abcd"), "a test")


def study_of_sorted_classes() -> Study:
    factors = {"hidden": [(8,)], "activation": ["tanh"]}
    return Study(
        data=sorted_by_class(),
        model="mlp",
        factors=factors,
        learning_rates=[0.1],
        seeds=1,
        epochs=1,
    )


def test_a_diagnosis_measures_every_class():
    diagnosis = diagnose_first(study_of_sorted_classes(), examples=128)
    assert diagnosis.layers[0].effective_rank > 1.5  # of equal examples it is at most 1


def test_an_inspection_records_every_class():
    study = study_of_sorted_classes()
    samples = inspect_model(study, study.run()).samples
    assert len(np.unique(samples[0][0])) == 4 * 8


def test_initial_values_are_fitted_to_every_class():
    arrays = engine.prepare(sorted_by_class(), 0.2)
    fitted = engine.Fitted(lambda rngs: None, lambda model, x: model)
    inputs = engine.sampled_examples([fitted], arrays).inputs
    assert np.bincount(inputs[..., 0].argmax(axis=1)[:, 0]).tolist() == [32] * 4


def test_the_explorer_shows_every_class():
    subject = Subject(sorted_by_class(), "sorted")
    labels = np.asarray(subject.labels)
    assert np.bincount(labels).tolist() == [32] * 4
    assert len(set(labels[:4].tolist())) == 4
    np.testing.assert_array_equal(subject.images[..., 0].argmax(axis=1)[:, 0], labels)
    shown = np.asarray(subject.x)[..., 0].argmax(axis=1)[:, 0]
    np.testing.assert_array_equal(shown, labels)
