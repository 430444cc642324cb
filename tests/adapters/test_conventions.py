"""Conventions of libraries that are easy to get wrong: modes, names, keys, states."""

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import jcnn
from jcnn.study import Study
from tests.adapters.networks import EquinoxNet, LinenNet, NnxNet, plain_net

X, LABELS = jax.random.normal(jax.random.key(0), (32, 8, 8, 1)), jnp.arange(32) % 3


class Flagged(eqx.Module):
    """Dropout whose flag is passed at the call, false by default."""

    dense: eqx.nn.Linear
    drop: eqx.nn.Dropout

    def __init__(self, *, key):
        self.dense, self.drop = eqx.nn.Linear(64, 3, key=key), eqx.nn.Dropout(0.5)

    def __call__(self, x, *, key=None, inference=False):
        return self.dense(self.drop(x.reshape(-1), key=key, inference=inference))


def test_flags_of_equinox_get_the_mode():
    module = jcnn.adapt(Flagged(key=jax.random.key(0)))
    assert not np.allclose(module(X), module(X))
    module.eval()
    np.testing.assert_array_equal(module(X), module(X))


def test_a_network_is_used_in_its_mode():
    net = NnxNet(3, dropout=0.9, rngs=nnx.Rngs(0))
    trained = jcnn.diagnose(net, X, LABELS, output="logits")
    net.eval()
    evaluated = jcnn.diagnose(net, X, LABELS, output="logits")
    assert trained.layers[1].std > 1.5 * evaluated.layers[1].std
    equinox = EquinoxNet(3, dropout=0.9, key=jax.random.key(0))
    assert jcnn.adapt(equinox)(X).shape == (32, 3)
    inference = jcnn.adapt(eqx.nn.inference_mode(equinox))
    np.testing.assert_array_equal(inference(X), inference(X))


def test_a_call_of_linen_keeps_what_it_changes():
    net = LinenNet(3)
    variables = net.init(jax.random.key(0), X, train=False)

    def call(net, variables, x, train):
        return net.apply(variables, x, train=train, mutable=["batch_stats"])

    module, expected = jcnn.adapt(net, variables, call=call), jcnn.adapt(net, variables)
    np.testing.assert_allclose(module(X), expected(X), rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, module.parameters, expected.parameters)


def test_an_optimizer_that_waits_is_no_fault():
    net = NnxNet(3, rngs=nnx.Rngs(0))
    for tx in (optax.MultiSteps(optax.adam(1e-3), 4), optax.adam(optax.linear_schedule(0, 0.1, 9))):
        optimizer = nnx.Optimizer(net, tx, wrt=nnx.Param)
        found = jcnn.diagnose(net, X, LABELS, output="logits", optimizer=optimizer)
        assert found.verdict == "healthy"
        assert all(layer.update == 0 for layer in found.layers)


def test_a_parameter_that_is_named_params_is_one():
    weights = {
        "params": 0.1 * jnp.ones((64, 4)),
        "head": jax.random.normal(jax.random.key(0), (4, 3)),
    }

    def network(weights, x):
        return jax.nn.sigmoid(x.reshape(len(x), -1) @ weights["params"]) @ weights["head"]

    found = jcnn.diagnose(network, weights, X, LABELS)
    assert [layer.name for layer in found.layers] == ["params", "head"]
    assert all(layer.update > 0 for layer in found.layers)


@pytest.mark.parametrize("name", ["keys", "values", "items", "update"])
def test_parameters_with_the_names_of_methods(name):
    weights = {name: {"w": jnp.ones((64, 3)) / 64}}
    found = jcnn.diagnose(lambda p, x: x.reshape(len(x), -1) @ p[name]["w"], weights, X, LABELS)
    assert [layer.name for layer in found.layers] == [name]


def test_a_single_array_of_parameters():
    found = jcnn.diagnose(lambda w, x: x.reshape(len(x), -1) @ w, jnp.ones((64, 3)) / 64, X, LABELS)
    assert [layer.name for layer in found.layers] == ["w"]


def test_a_train_state_of_linen():
    """Its function is `net.apply`, its parameters those below "params"."""
    net = linen.Dense(3)
    images = X.reshape(32, -1)
    variables = net.init(jax.random.key(0), images)
    expected = jcnn.diagnose(net, variables, images, LABELS)
    for function, params in (
        (net.apply, variables),
        (net.apply, variables["params"]),
        (net, variables["params"]),
    ):
        found = jcnn.diagnose(function, params, images, LABELS)
        assert found.to_json() == expected.to_json()
    tx = optax.adam(0.1)
    for state in (tx.init(variables["params"]), tx.init(variables)):
        found = jcnn.diagnose(net, variables, images, LABELS, optimizer=tx, optimizer_state=state)
        first = jcnn.diagnose(net, variables, images, LABELS, optimizer=tx)
        assert found.to_json() == first.to_json()
    state = optax.sgd(0.1, momentum=0.9).init(variables)
    with pytest.raises(ValueError, match="optimizer_state does not fit the parameters"):
        jcnn.diagnose(net, variables, images, LABELS, optimizer=tx, optimizer_state=state)
    with pytest.raises(ValueError, match="optimizer_state is an optimizer; expected its state"):
        jcnn.diagnose(net, variables, images, LABELS, optimizer=tx, optimizer_state=tx)


def test_random_collections_of_linen():
    class Dropping(linen.Module):
        @linen.compact
        def __call__(self, x, train):
            x = linen.Dropout(0.3, rng_collection="paths", deterministic=not train)(x)
            return linen.Dense(3)(x.reshape(len(x), -1))

    net = Dropping()
    module = jcnn.adapt(net, net.init(jax.random.key(0), X, train=False))
    assert not np.allclose(module(X), module(X))


def test_the_key_of_haiku_comes_second():
    def network(x):
        x = hk.dropout(hk.next_rng_key(), 0.5, x.reshape(len(x), -1))
        return hk.Linear(3)(x)

    transformed = hk.transform(network)
    params = transformed.init(jax.random.key(0), X)
    module = jcnn.adapt(transformed.apply, params)
    assert not np.allclose(module(X), module(X))
    assert [layer.name for layer in jcnn.diagnose(transformed.apply, params, X, LABELS).layers] == [
        "linear"
    ]


def test_modules_of_linen_are_initialized_by_seed():
    net = linen.Sequential([lambda x: x.reshape(len(x), -1), linen.Dense(10)])
    small = {"learning_rates": [0.1], "seeds": 2, "epochs": 1, "factors": {}}
    for model in (net, lambda: (net.init, net.apply)):
        first, second = (
            record.outcome.curves for record in Study(model=model, **small).run().records
        )
        assert first["train_loss"] != second["train_loss"]


class Stateful(eqx.Module):
    """Running statistics, dropout, and a flag, as a network of Equinox has them."""

    norm: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout
    out: eqx.nn.Linear

    def __init__(self, outputs, *, rate=0.0, mode="batch", key):
        self.norm = eqx.nn.BatchNorm(6, "examples", mode=mode)
        self.drop = eqx.nn.Dropout(rate)
        self.out = eqx.nn.Linear(6, outputs, key=key)

    def __call__(self, x, state, key):
        x, state = self.norm(x.ravel()[:6], state)
        return self.out(self.drop(x, key=key)), state


def test_the_state_of_equinox_is_carried_on():
    x = 3 + 2 * jax.random.normal(jax.random.key(0), (32, 6))
    model, state = eqx.nn.make_with_state(Stateful)(3, key=jax.random.key(1))
    keys = jax.random.split(jax.random.key(2), 32)
    mapped = jax.vmap(model, axis_name="examples", in_axes=(0, None, 0), out_axes=(0, None))
    for whole in (jcnn.adapt(model, state), jcnn.adapt(Stateful(3, key=jax.random.key(1)))):
        expected, after = mapped(x, state, keys)
        expected_again, after = mapped(2 * x, after, keys)
        np.testing.assert_allclose(whole(x), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(whole(2 * x), expected_again, rtol=1e-5, atol=1e-6)
        whole.eval()
        evaluated = jax.vmap(eqx.nn.inference_mode(model), (0, None, 0), (0, None),
                             axis_name="examples")(x, after, keys)[0]  # fmt: skip
        np.testing.assert_allclose(whole(x), evaluated, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(whole(x), whole(x))  # evaluation changes nothing
        found = jcnn.diagnose(whole, x, jnp.arange(32) % 3)
        assert [layer.name for layer in found.layers] == ["out"]
    params = nnx.state(whole, nnx.Param)
    assert len(jax.tree.leaves(params)) == 4  # weights and biases, and no statistics


@pytest.fixture
def loose_dtypes():
    """Equinox counts batches by an int32, which it multiplies; studies trace in threads."""
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    yield
    jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.mark.usefixtures("loose_dtypes")
def test_a_study_of_a_network_with_state_of_equinox():
    class Network(Stateful):
        """One that draws."""

    def with_state(outputs, rate, key):
        return eqx.nn.make_with_state(Network)(outputs, rate=rate, mode="ema", key=key)

    for model in (Network, with_state):
        result = Study(model=model, factors={"rate": [0.0, 0.3]}, learning_rates=[0.1], seeds=1,
                       epochs=2).run()  # fmt: skip
        assert not result.failures
        plain, dropped = (record.outcome for record in result.records)
        assert plain.curves["train_loss"][1] < plain.curves["train_loss"][0]
        assert plain.test != dropped.test


def test_a_pair_of_a_module_and_its_state():
    pair = eqx.nn.make_with_state(Stateful)(3, key=jax.random.key(1))
    x = jax.random.normal(jax.random.key(0), (32, 6))
    found = jcnn.diagnose(pair, x, jnp.arange(32) % 3)
    same = jcnn.diagnose(Stateful(3, key=jax.random.key(1)), x, jnp.arange(32) % 3)
    assert found.to_dict() == same.to_dict()
    assert jcnn.find_learning_rate(pair, x, jnp.arange(32) % 3, steps=3).losses


def test_state_that_depends_on_the_example_is_refused():
    class PerExample(eqx.Module):
        last: eqx.nn.StateIndex

        def __init__(self):
            self.last = eqx.nn.StateIndex(jnp.zeros(6))

        def __call__(self, x, state):
            return x, state.set(self.last, x)

    with pytest.raises(ValueError, match="PerExample depends on the example; expected one for the"):
        jcnn.adapt(PerExample())(jnp.ones((4, 6)))


def test_axes_of_two_names_are_refused():
    parts = [eqx.nn.BatchNorm(4, axis, mode="batch") for axis in ("one", "two")]
    with pytest.raises(ValueError, match="name the axes one, two; .* the same axis_name"):
        jcnn.adapt(eqx.nn.Sequential(parts))
    without, _ = eqx.nn.make_with_state(eqx.nn.Sequential)(parts[:1])
    with pytest.raises(ValueError, match="has state .* give .model, state."):
        jcnn.adapt(without)


def test_state_of_equinox_in_ones_own_call():
    net = eqx.nn.BatchNorm(4, "batch", mode="batch")
    state = eqx.nn.State(net)

    def call(net, x):
        return jax.vmap(net, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)[0]

    assert jcnn.adapt(net, call=call)(jnp.ones((5, 4))).shape == (5, 4)


def test_arguments_in_another_order():
    net = NnxNet(3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="after the labels is a GradientTransf.*given by name"):
        jcnn.diagnose(net, X, LABELS, optax.adam(0.1), output="logits")
    init, apply = plain_net(3)
    watch = jcnn.watch(apply, init(jax.random.key(0), X), X, LABELS)
    with pytest.raises(ValueError, match="step is a list; expected watch"):
        watch(init(jax.random.key(0), X), 0)


def test_a_sequential_of_equinox_has_state_only_if_a_part_has():
    keys = jax.random.split(jax.random.key(0))
    parts = [eqx.nn.Linear(6, 4, key=keys[0]), eqx.nn.Lambda(jax.nn.relu)]
    plain = eqx.nn.Sequential([*parts, eqx.nn.Linear(4, 3, key=keys[1])])
    x = jax.random.normal(jax.random.key(1), (16, 6))
    assert jcnn.diagnose(plain, x, jnp.arange(16) % 3).verdict == "healthy"
    norm = eqx.nn.BatchNorm(4, axis_name="batch", mode="batch")
    found = jcnn.diagnose(eqx.nn.Sequential([*parts, norm]), x, jnp.arange(16) % 4)
    assert [layer.name for layer in found.layers] == ["layers.0"]
