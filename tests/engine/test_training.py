"""The engine's program: equal to a plain loop, in chunks, diverged, resumed to the bit."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import data, engine, layers, training
from jcnn.study import Study
from tests.small import blobs, linear, study


def test_epoch_orders_are_paired_and_complete():
    first = engine.epoch_batches(3, 0, 100, 10)
    np.testing.assert_array_equal(first, engine.epoch_batches(3, 0, 100, 10))
    assert sorted(first.ravel()) == list(range(100))
    assert (first != engine.epoch_batches(4, 0, 100, 10)).any()
    assert (first != engine.epoch_batches(3, 1, 100, 10)).any()
    with pytest.raises(ValueError, match="use a smaller batch"):
        engine.steps_per_epoch(10, 64)


def test_a_run_equals_a_loop_written_by_hand():
    """The engine's mapped, sharded program against one model, Optax and a Python loop."""
    import optax

    x, y = blobs()
    study = Study(
        data=(x, y),
        model=linear,
        factors={},
        epochs=2,
        seeds=[5],
        learning_rates=[0.1],
        batch_size=40,
    )
    outcome = study.run().records[0].outcome
    dataset = data.from_arrays(x, y)
    keep, held = data.split_validation(dataset.train_targets, 0.2, stratify=True)
    inputs = (dataset.train_inputs - dataset.mean) / dataset.std
    model = linear((6,), 2, rngs=nnx.Rngs(jax.random.key(5)))
    params = {"k": model.kernel[...], "b": model.bias[...]}
    optimizer = optax.sgd(0.1, momentum=0.9)
    state = optimizer.init(params)

    def loss(p, x, t):
        logits = x @ p["k"] + p["b"][None]
        return optax.softmax_cross_entropy_with_integer_labels(logits, t).mean()

    means = []
    for epoch in range(2):
        values = []
        for batch in engine.epoch_batches(5, epoch, len(keep), 40):
            at = keep[batch]
            value, grads = jax.value_and_grad(loss)(params, inputs[at], dataset.train_targets[at])
            updates, state = optimizer.update(grads, state)
            params = optax.apply_updates(params, updates)
            values.append(float(value))
        means.append(np.mean(values))
    np.testing.assert_allclose(outcome.curves["train_loss"], means, rtol=1e-4)
    expected = loss(params, inputs[held], dataset.train_targets[held])
    np.testing.assert_allclose(outcome.curves["validation_loss"][-1], expected, rtol=1e-4)


def test_chunks_do_not_change_the_numbers(monkeypatch):
    study = Study(
        data=blobs(),
        model=linear,
        factors={},
        epochs=2,
        seeds=2,
        batch_size=32,
        learning_rates=[0.1],
    )
    whole = study.run().records
    monkeypatch.setattr(engine._training, "SECONDS_PER_CALL", 0.0)
    ticks = []
    parts = study.run(on_progress=ticks.append).records
    assert len(ticks) > 2 * study.epochs
    assert [record.outcome for record in whole] == [record.outcome for record in parts]


def test_a_diverged_run_stops_at_its_step_and_leaves_its_group_alone():
    def study(rates):
        return Study(
            data="digits-rotated", model="mlp", factors={}, epochs=2, seeds=1, batch_size=128,
            learning_rates=rates,
        )  # fmt: skip

    both, alone = study([1e-2, 1e6]), study([1e-2])
    compiled = both.jobs(both.prepare())[0].compile()
    trained = engine.Training(compiled)
    for _ in trained.run():
        pass
    fine, diverged = trained.outcomes
    steps = trained._states.step
    assert steps.tolist() == [compiled.steps_per_epoch * 2, diverged.diverged_at + 1]
    assert fine == alone.run().records[0].outcome


def test_weights_of_padding_do_not_count():
    dataset = data.load("digits")
    held = engine.prepare(dataset, 0.2)
    count = float(held.held_weights.sum())
    assert count == len(dataset.test_inputs) + round(0.2 * len(dataset.train_inputs))
    assert training.run.normalize(jnp.asarray(held.inputs), held).dtype == jnp.float32


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_every_chunk_boundary_resumes_to_the_bit(normalization, monkeypatch):
    """With dropout too, whose random keys are state."""

    class Net(nnx.Module):
        def __init__(self, input_shape, outputs, *, rngs):
            self.dense = layers.Dense(input_shape[0], 8, rngs=rngs)
            self.norm = layers.batch_norm(8, rngs=rngs) if normalization == "batch" else None
            self.drop = nnx.Dropout(0.5, rngs=rngs)
            self.out = layers.Dense(8, outputs, rngs=rngs)

        def __call__(self, x):
            x = self.dense(x)
            x = x if self.norm is None else self.norm(x)
            return self.out(self.drop(jax.nn.relu(x)))

    monkeypatch.setattr(engine._training, "FIRST_CALL", 4)
    monkeypatch.setattr(engine._training, "SECONDS_PER_CALL", 1e-9)
    one = study(model=Net, factors={"optimizer": ["rmsprop"]}, epochs=2, seeds=3)
    compiled = one.jobs(one.prepare())[0].compile()
    whole = engine.Training(compiled)
    snapshots = [whole.snapshot(), *(whole.snapshot() for _ in whole.run())]
    assert len(snapshots) > 8
    for snapshot in snapshots:
        plain = json.loads(json.dumps(snapshot.place))
        resumed = engine.Training(compiled, snapshot._replace(place=plain))
        for _ in resumed.run():
            pass
        assert resumed.outcomes == whole.outcomes
        for mine, theirs in zip(resumed.snapshot().arrays, snapshots[-1].arrays, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match="another model"):
        engine.Training(compiled, snapshot._replace(arrays=snapshot.arrays[1:]))
