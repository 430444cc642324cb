"""Averages of weights, accumulation, mixing, warm starts, and any transformation of Optax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from optax import contrib

from jcnn import data, engine, losses, models, names, training
from jcnn.data import augmentation
from jcnn.errors import UsageError
from jcnn.export import load_weights, weights
from jcnn.study import Study, best_model, train_one
from jcnn.training.averaging import evaluated_params, update_average
from tests.small import SMALL, blobs

DIGITS = data.load("digits")
FACTORS = {"hidden": [(16,)], "optimizer": ["sgd"]}
MLP = SMALL | {"model": "mlp", "factors": FACTORS, "learning_rates": [0.1], "seeds": 1}


def trained(**changed):
    """The network of a study of one combination, and its result."""
    study = Study(**MLP | changed)
    return train_one(study, 0, 0.1), study.run()


def steps_of_plain_jax(optimizer):
    """An epoch of the same network by a loop of Flax and Optax: params after each step."""
    study = Study(**MLP | {"epochs": 1})
    prepared = study.prepare()
    job = study.jobs(prepared)[0]
    model = job.model(0, 0)
    graph, params = nnx.split(model)
    batches = engine.epoch_batches(0, 0, len(prepared.data.inputs), 128)
    state, seen = optimizer.init(params), [params]

    def loss_of(params, x, y):
        return losses.cross_entropy(nnx.merge(graph, params)(x), y).mean()

    for indices in batches:
        x = training.normalize(jnp.asarray(prepared.data.inputs[indices]), prepared.data)
        gradients = jax.grad(loss_of)(params, x, jnp.asarray(prepared.data.targets[indices]))
        updates, state = optimizer.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        seen.append(params)
    return graph, seen


def close(model, params, **tolerances):
    for a, b in zip(jax.tree.leaves(nnx.state(model)), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 1e-4, "atol": 1e-5} | tolerances)


def test_the_average_of_weights_is_evaluated():
    model, result = trained(epochs=1, ema_decay=0.9)
    _, seen = steps_of_plain_jax(optax.sgd(0.1))
    average = seen[0]
    for step, params in enumerate(seen[1:]):
        kept = min(0.9, (1 + step) / (10 + step))
        average = jax.tree.map(lambda a, p, k=kept: k * a + (1 - k) * p, average, params)
    close(model, average)
    assert not np.allclose(jax.tree.leaves(nnx.state(model))[1], jax.tree.leaves(seen[-1])[1])
    outputs = training.predict(model, DIGITS.test_inputs, Study(**MLP).prepare().data)
    accuracy = (outputs.argmax(axis=1) == DIGITS.test_targets).mean()
    assert result.records[0].outcome.test["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    plain = trained(epochs=1)[1]
    assert plain.records[0].outcome.test != result.records[0].outcome.test
    assert plain.records[0].outcome.curves["train_loss"] == pytest.approx(
        result.records[0].outcome.curves["train_loss"], rel=1e-5
    )


def test_the_average_after_many_steps():
    average = jnp.zeros(())
    for step in range(2000):
        average = update_average(average, jnp.ones(()), jnp.int32(step), 0.99)
    assert float(average) == pytest.approx(1.0, abs=1e-5)


def test_gradients_are_accumulated():
    model, _ = trained(epochs=1, accumulation_steps=3)
    _, seen = steps_of_plain_jax(
        optax.MultiSteps(optax.sgd(0.1), every_k_schedule=3).gradient_transformation()
    )
    close(model, seen[-1])
    assert np.allclose(jax.tree.leaves(seen[1])[1], jax.tree.leaves(seen[2])[1])
    recipe = training.Recipe(
        training.classification(), training.optimizers.sgd, "linear", 12, 6, None,
        accumulation_steps=3,
    )  # fmt: skip
    rates = [float(recipe.learning_rate(1.0)(update)) for update in range(5)]
    plain = training.Recipe(
        training.classification(), training.optimizers.sgd, "linear", 4, 2, None
    )
    assert rates == [float(plain.learning_rate(1.0)(update)) for update in range(5)]
    assert max(rates) > rates[-1] == 0.0


def test_accumulation_of_more_steps_than_there_are():
    with pytest.raises(UsageError, match="accumulation_steps=1000, but a run has only 8 steps"):
        Study(**MLP | {"epochs": 1, "accumulation_steps": 1000}).run()


def test_a_schedule_free_part_is_refused():
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    optimizer = optax.masked(contrib.schedule_free_sgd(0.1), {"a": True, "b": False})
    with pytest.raises(UsageError, match="averages all weights"):
        evaluated_params(params, (), optimizer.init(params))


def test_signals_and_tables_are_mixed():
    shares = [
        float(augmentation.cutmix(1.0).mix(jax.random.key(i), jnp.ones((4, 64, 1, 2)))[1])
        for i in range(100)
    ]
    assert np.mean([share == 1 for share in shares]) < 0.1
    table, _ = augmentation.mixup(0.5).mix(jax.random.key(0), jnp.ones((4, 9)))
    assert table.shape == (4, 9)


@pytest.mark.parametrize("name", ["mixup:0.4", "cutmix:1.0"])
def test_targets_are_mixed_like_the_images(name):
    mixing = names.lookup("augmentation", name)
    images = jnp.arange(6 * 8 * 8, dtype=jnp.float32).reshape(6, 8, 8, 1)
    shares = []
    for seed in range(200):
        mixed, share = mixing.mix(jax.random.key(seed), images)
        shares.append(float(share))
        from_partner = float((mixed != images).mean())
        if name.startswith("mixup"):
            expected = share * images + (1 - share) * jnp.roll(images, -1, axis=0)
            np.testing.assert_allclose(mixed, expected, rtol=1e-5)
        else:
            assert from_partner == pytest.approx(1 - shares[-1], abs=1e-6)
            is_own, is_other = mixed == images, mixed == jnp.roll(images, -1, axis=0)
            assert (is_own | is_other).all()
    assert 0.3 < np.mean(shares) < 0.8
    assert np.std(shares) > 0.15
    assert all(0 <= share <= 1 for share in shares)


def test_a_step_with_mixing_is_that_of_the_mixed_loss():
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(jnp.uint32(0)), jnp.int32(0)), 1)
    study = Study(**MLP | {"epochs": 1, "augmentation": "mixup:1.0", "batch_size": 1150})
    prepared = study.prepare()
    model = study.jobs(prepared)[0].model(0, 0)
    graph, params = nnx.split(model)
    (indices,) = engine.epoch_batches(0, 0, 1150, 1150)
    x = training.normalize(jnp.asarray(prepared.data.inputs[indices]), prepared.data)
    y = jnp.asarray(prepared.data.targets[indices])
    mixed, share = augmentation.mixup(1.0).mix(key, x)

    def loss_of(params):
        outputs = nnx.merge(graph, params)(mixed)
        parts = [losses.cross_entropy(outputs, each).mean() for each in (y, jnp.roll(y, -1))]
        return share * parts[0] + (1 - share) * parts[1]

    loss, gradients = jax.value_and_grad(loss_of)(params)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients)
    close(train_one(study, 0, 0.1), expected)
    (record,) = study.run().records
    assert record.outcome.curves["train_loss"][0] == pytest.approx(float(loss), rel=1e-5)


def test_mixing_comes_last():
    chained = names.lookup("augmentation", "flip+shift:1+cutmix:1")
    assert chained.before is not None
    images = jnp.ones((4, 8, 8, 1), jnp.uint8)
    assert chained(jax.random.key(0), images).shape == images.shape
    with pytest.raises(ValueError, match="one of them comes last"):
        names.lookup("augmentation", "mixup:0.2+flip")
    with pytest.raises(ValueError, match="alpha is 0, expected a positive number"):
        names.lookup("augmentation", "mixup:0")
    result = Study(**MLP | {"augmentation": "flip+mixup:0.2", "diagnose": 4}).run()
    assert result.records[0].outcome.history is not None


def frozen(learning_rate):
    def labels(params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: "frozen" if "dense_hidden1" in jax.tree_util.keystr(path) else "rest",
            params,
        )

    parts = {"rest": optax.adam(learning_rate), "frozen": optax.set_to_zero()}
    return optax.multi_transform(parts, labels)


OPTIMIZERS = {
    "inject_hyperparams": optax.inject_hyperparams(optax.adam),
    "MultiSteps": lambda rate: optax.MultiSteps(optax.adam(rate), every_k_schedule=2),
    "frozen": frozen,
    "apply_if_finite": lambda rate: optax.apply_if_finite(optax.adam(rate), 3),
    "masked": lambda rate: optax.chain(
        optax.add_decayed_weights(1e-3, mask=lambda params: jax.tree.map(
            lambda p: p.ndim > 1, params)), optax.sgd(rate, nesterov=True, momentum=0.9)),
    "schedule_free": functools.partial(contrib.schedule_free_adamw, b1=0.9),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_transformation_of_optax(name):
    with jax.numpy_dtype_promotion("standard"):
        factors = {"optimizer": {name: OPTIMIZERS[name]}, "hidden": [(16,)]}
        study = Study(**MLP | {"factors": factors, "learning_rates": [0.03], "epochs": 3})
        (row,) = study.run().ranking()
        assert row.mean > 0.5
        first = study.jobs(study.prepare())[0].model(0, 0)
        model = train_one(study, 0, 0.03)
    moved = {n: (a != weights(first)[n]).any() for n, a in weights(model).items()}
    assert moved["output.kernel"]
    assert moved["dense_hidden1.kernel"] == (name != "frozen")


def test_schedule_free_optimizers_are_evaluated_at_their_average():
    params = {"w": jnp.array([1.0, 2.0])}
    optimizer = training.optimizers.in_float32(
        optax.chain(optax.clip_by_global_norm(1.0), contrib.schedule_free_sgd(0.5))
    )
    state = optimizer.init(params)
    for _ in range(5):
        updates, state = optimizer.update({"w": jnp.ones(2)}, state, params)
        params = optax.apply_updates(params, updates)
    expected = contrib.schedule_free_eval_params(state[1], params)
    np.testing.assert_allclose(evaluated_params(params, (), state)["w"], expected["w"])
    assert not np.allclose(expected["w"], params["w"])


@pytest.mark.parametrize("name", ["lbfgs", "reduce_on_plateau", "polyak_sgd"])
def test_optimizers_that_need_the_loss_are_refused(name):
    factory = {
        "lbfgs": optax.lbfgs,
        "reduce_on_plateau": lambda rate: optax.chain(
            optax.adam(rate), contrib.reduce_on_plateau()
        ),
        "polyak_sgd": lambda rate: optax.polyak_sgd(),
    }[name]
    with pytest.raises(UsageError, match="needs the value of the loss at each step"):
        Study(**MLP | {"factors": {"optimizer": {name: factory}}}).run()


def test_a_warm_start_from_every_kind_of_file(tmp_path):
    first = Study(**MLP | {"epochs": 4})
    result = first.run(tmp_path / "first")
    network = best_model(first, result, directory=tmp_path / "first")
    files = [network.save(tmp_path / f"net.{kind}") for kind in ("safetensors", "orbax")]
    cold = Study(**MLP | {"epochs": 1}).run()
    outcomes = []
    for file in (*files, tmp_path / "first" / "best_model.npz", str(files[0])):
        study = Study(**MLP | {"epochs": 1, "warm_start": file})
        job = study.jobs(study.prepare())[0]
        for name, array in weights(job.model(0, 7)).items():
            np.testing.assert_array_equal(array, network.weights()[name])
        outcomes.append(study.run().records[0].outcome.test)
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0]["loss"] < cold.records[0].outcome.test["loss"]


def test_a_warm_start_by_a_function_keeps_a_new_head(tmp_path):
    donor = models.mlp((8, 8, 1), 3, hidden=(16,), rngs=nnx.Rngs(5))
    given = weights(donor)

    def start(model):
        load_weights(model, given, skip=["output.*"])

    study = Study(**MLP | {"warm_start": start})
    job = study.jobs(study.prepare())[0]
    found = weights(job.model(0, 0))
    np.testing.assert_array_equal(found["dense_hidden1.kernel"], given["dense_hidden1.kernel"])
    assert found["output.kernel"].shape == (16, 10)
    assert (weights(job.model(0, 1))["output.kernel"] != found["output.kernel"]).any()


def test_runs_with_other_first_weights_have_other_keys(tmp_path):
    keys = set()
    for seed in (1, 2):
        donor = weights(models.mlp((8, 8, 1), 10, hidden=(16,), rngs=nnx.Rngs(seed)))
        np.savez(tmp_path / "w.npz", **donor)
        study = Study(**MLP | {"warm_start": str(tmp_path / "w.npz")})
        keys |= {run.key for job in study.jobs(study.prepare()) for run in job.runs}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"conv.kernel": np.zeros(3)}, "the network has no conv.kernel"),
        ({}, "there is no dense_hidden1.bias"),
        (None, "there is no such file of weights"),
        (b"broken", "cannot be read"),
    ],
)
def test_weights_that_do_not_fit(content, message, tmp_path):
    path = tmp_path / "w.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, **content)
    with pytest.raises(ValueError, match=message):
        Study(**MLP | {"warm_start": str(path)}).run()
    model = models.mlp((8, 8, 1), 10, hidden=(16,), rngs=nnx.Rngs(0))
    with pytest.raises(UsageError, match="expected a file of weights"):
        load_weights(model, tmp_path / "w.pt")
    with pytest.raises(UsageError, match=r"no weight is called head.*"):
        load_weights(model, weights(model), skip=["head.*"])


def test_a_state_dict_of_torch():
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 10),
    )  # fmt: skip
    images = torch.randn(6, 1, 8, 8)
    net.train()
    net(images)
    net.eval()

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
            self.norm = nnx.BatchNorm(4, rngs=rngs)
            self.dense = nnx.Linear(4, 10, rngs=rngs)

        def __call__(self, x):
            return self.dense(nnx.relu(self.norm(self.conv(x))).mean((1, 2)))

    model = Net(nnx.Rngs(0))
    model.eval()
    places = {"0": "conv", "1": "norm", "5": "dense"}
    parts = {"running_mean": "mean", "running_var": "var", "bias": "bias"}
    renamed = {}
    for name in net.state_dict():
        place, part = name.split(".")
        kind = "scale" if place == "1" else "kernel"
        renamed[name] = f"{places[place]}.{parts.get(part, kind)}"
    load_weights(model, net.state_dict(), names=renamed)
    x = jnp.asarray(np.moveaxis(images.numpy(), 1, -1))
    np.testing.assert_allclose(model(x), net(images).detach().numpy(), rtol=1e-4, atol=1e-5)
    by_itself = {
        f"{places[n.split('.')[0]]}.{n.split('.')[1]}": v for n, v in net.state_dict().items()
    }
    other = Net(nnx.Rngs(1))
    other.eval()
    load_weights(other, by_itself)
    np.testing.assert_allclose(other(x), model(x))


def test_settings_on_the_command_line(tmp_path, capsys):
    from jcnn.cli.main import main

    x, y = blobs(80, features=4)
    np.savez(tmp_path / "blobs.npz", x=x, y=y)
    words = ["--data", str(tmp_path / "blobs.npz"), "--model", "mlp", "--activation", "tanh"]
    words += ["--seeds", "1", "--epochs", "2", "--batch-size", "8", "--no-report", "--quiet"]
    more = ["--ema-decay", "0.9", "--accumulation-steps", "2"]
    assert main(["compare", *words, *more, "--out", str(tmp_path / "a")]) == 0
    text = (tmp_path / "a" / "study.toml").read_text()
    assert "ema_decay = 0.9" in text
    assert "accumulation_steps = 2" in text
    donor = str(tmp_path / "a" / "best_model.npz")
    assert main(["export", str(tmp_path / "a"), "--to", str(tmp_path / "m.safetensors")]) == 0
    for file in (donor, str(tmp_path / "m.safetensors")):
        warm = [*words, "--warm-start", file, "--out", str(tmp_path / "b")]
        assert main(["compare", *warm]) == 0
    assert "warm_start" in (tmp_path / "b" / "study.toml").read_text()
    assert main(["compare", *words, "--ema-decay", "2", "--out", str(tmp_path / "c")]) == 2
