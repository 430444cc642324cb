"""Metrics that are no means over examples, against scikit-learn; losses with weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, top_k_accuracy_score

from jcnn import losses, training
from jcnn.training import metrics


@pytest.mark.parametrize(("examples", "classes"), [(50, 4), (7, 10), (300, 5)])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_they_are_those_of_scikit_learn(examples, classes):
    rng = np.random.default_rng(examples)
    logits = rng.normal(size=(examples, classes)).astype(np.float32)
    labels = rng.integers(0, classes, examples)
    predicted = logits.argmax(axis=1)
    expected = {
        metrics.f1(classes): f1_score(labels, predicted, average="macro"),
        metrics.balanced_accuracy(classes): balanced_accuracy_score(labels, predicted),
        metrics.top(3): top_k_accuracy_score(labels, logits, k=3, labels=range(classes)),
        metrics.top5(classes): (
            (np.argsort(-logits, axis=1)[:, :5] == labels[:, None]).any(axis=1).mean()
        ),
    }
    for metric, value in expected.items():
        assert float(metric.of(jnp.asarray(logits), jnp.asarray(labels))) == pytest.approx(value)


def test_a_metric_of_parts_is_that_of_the_whole():
    """Means of columns are added; means of scores would differ."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(60, 4)), rng.integers(0, 4, 60)
    score = metrics.f1(4)
    parts = [
        score.per_example(jnp.asarray(logits[i::3]), jnp.asarray(labels[i::3])) for i in range(3)
    ]
    whole = score.of_means(jnp.concatenate(parts).mean(axis=0))
    assert float(whole) == pytest.approx(f1_score(labels, logits.argmax(axis=1), average="macro"))
    of_parts = np.mean([float(score.of_means(part.mean(axis=0))) for part in parts])
    assert abs(of_parts - float(whole)) > 1e-3


def test_a_mean_is_refused():
    with pytest.raises(ValueError, match=r"it returns shape \(\); expected one value per example"):
        training.TaskMetric(lambda outputs, targets: outputs.mean()).of(
            jnp.ones((4, 2)), jnp.zeros(4, jnp.int32)
        )


def test_class_weights_multiply_each_class():
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(8, 3)), jnp.float32)
    labels, weights = jnp.asarray(rng.integers(0, 3, 8)), jnp.array([0.5, 1.0, 4.0])
    plain = losses.cross_entropy(logits, labels)
    weighted = losses.cross_entropy(logits, labels, class_weights=weights)
    np.testing.assert_allclose(weighted, plain * weights[labels], rtol=1e-6)
    mean = losses.cross_entropy(logits, labels, class_weights=weights, reduction="mean")
    assert float(mean) == pytest.approx(float(weighted.sum() / weights[labels].sum()))
    with pytest.raises(ValueError, match=r"class_weights have shape \(2,\); expected \(3,\)"):
        losses.cross_entropy(logits, labels, class_weights=weights[:2])


def test_ignored_labels_count_for_nothing():
    logits = jax.random.normal(jax.random.key(0), (2, 5, 3))  # as pixels of two images
    labels = jnp.array([[0, 255, 1, 2, 255], [255, 255, 2, 1, 0]])
    loss = losses.cross_entropy(logits, labels, ignore_label=255)
    kept = labels != 255
    plain = losses.cross_entropy(logits, jnp.where(kept, labels, 0))
    np.testing.assert_allclose(loss, jnp.where(kept, plain, 0), rtol=1e-6)
    mean = losses.cross_entropy(logits, labels, ignore_label=255, reduction="mean")
    assert float(mean) == pytest.approx(float(plain[kept].mean()), rel=1e-6)
    gradient = jax.grad(
        lambda z: losses.cross_entropy(z, labels, ignore_label=255, reduction="sum")
    )(logits)
    assert not jnp.any(gradient[~kept])
    assert jnp.all(jnp.any(gradient != 0, axis=-1)[kept])
