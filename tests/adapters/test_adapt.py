"""Networks of other libraries as modules: the same outputs, figures and changes of state."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jcnn
from jcnn.adapters import Called, FunctionModule
from tests.adapters.networks import (
    EquinoxNet,
    LinenNet,
    NnxNet,
    haiku_net,
    plain_net,
)

X, LABELS = jax.random.normal(jax.random.key(0), (32, 8, 8, 1)), jnp.arange(32) % 3


def figures(diagnosis):
    return {
        name: [getattr(layer, name) for layer in diagnosis.layers]
        for name in ("std", "gradient", "dead", "units", "fan_in", "activation", "effective_rank")
    }


def same(found, expected, rtol=1e-4):
    found, expected = figures(found), figures(expected)
    for name, values in expected.items():
        if name in ("dead", "units", "fan_in", "activation"):
            assert found[name] == values, name
        else:
            np.testing.assert_allclose(found[name], values, rtol=rtol, err_msg=name)


def nnx_like(variables):
    """The network of NNX with the weights of the one of Linen."""
    net = NnxNet(3, rngs=nnx.Rngs(0))
    for layer, names in (("conv", ("kernel", "bias")), ("dense", ("kernel", "bias"))):
        for name in names:
            value = variables["params"][layer][name]
            getattr(getattr(net, layer), name).set_value(value)
    return net


def test_linen_is_diagnosed_like_nnx():
    net = LinenNet(3)
    variables = net.init(jax.random.key(1), X, train=False)
    found = jcnn.diagnose(net, variables, X, LABELS)
    assert [layer.name for layer in found.layers] == ["conv", "dense"]
    same(found, jcnn.diagnose(nnx_like(variables), X, LABELS, output="logits"))


def test_equinox_is_diagnosed_like_nnx():
    net = EquinoxNet(3, key=jax.random.key(1))
    other = jcnn.adapt(NnxNet(3, rngs=nnx.Rngs(0)), output="logits")

    class Plain(nnx.Module):
        def __init__(self):
            self.conv, self.dense = other.model.conv, other.model.dense
            self.conv.kernel.set_value(jnp.transpose(net.conv.weight, (2, 3, 1, 0)))
            self.conv.bias.set_value(net.conv.bias[:, 0, 0])
            self.dense.kernel.set_value(net.dense.weight.T)
            self.dense.bias.set_value(net.dense.bias)

        def __call__(self, x):
            return self.dense(nnx.relu(self.conv(x)).mean((1, 2)))

    found, expected = jcnn.diagnose(net, X, LABELS), jcnn.diagnose(Plain(), X, LABELS)
    assert [layer.name for layer in found.layers] == ["conv", "dense"]
    # The sums of direct products do not have the bias, which moves no rank and no gradient.
    same(found, expected)
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    sizes = [layer.parameters for layer in jcnn.summarize(net, (8, 8, 1)).layers]
    assert sizes == [layer.parameters for layer in jcnn.summarize(Plain(), (8, 8, 1)).layers]


@pytest.mark.parametrize("build", [haiku_net, plain_net])
def test_functions_are_diagnosed_by_the_paths_of_their_parameters(build):
    init, apply = build(3)
    params = init(jax.random.key(0), X)
    found = jcnn.diagnose(apply, params, X, LABELS)
    names = ["conv", "dense"] if build is haiku_net else ["0", "1"]
    assert [layer.name for layer in found.layers] == names
    assert [layer.activation for layer in found.layers] == ["relu", None]
    assert [(layer.units, layer.fan_in) for layer in found.layers] == [(4, 9), (3, 4)]

    def loss(params):
        return jcnn.losses.cross_entropy(apply(params, X), LABELS).mean()

    assert found.loss == pytest.approx(float(loss(params)), rel=1e-5)
    gradients = jax.grad(loss)(params)
    kernels = [leaf for leaf in jax.tree.leaves(gradients) if leaf.ndim > 1]
    np.testing.assert_allclose(
        [layer.weight_gradient for layer in found.layers],
        [np.linalg.norm(kernel) for kernel in kernels],
        rtol=1e-4,
    )


def test_the_state_of_ones_own_optimizer_fits():
    init, apply = plain_net(3)
    params = init(jax.random.key(0), X)
    net = LinenNet(3)
    variables = net.init(jax.random.key(1), X, train=False)
    equinox = EquinoxNet(3, key=jax.random.key(1))
    tx = optax.adam(optax.linear_schedule(0.1, 0.0, 10))
    for network, trained in (
        ((apply, params), params),
        ((net, variables), variables["params"]),
        ((equinox,), eqx.filter(equinox, eqx.is_array)),
    ):
        state = tx.init(trained)
        first = jcnn.diagnose(*network, X, LABELS, optimizer=tx)
        same(first, jcnn.diagnose(*network, X, LABELS, optimizer=tx, optimizer_state=state))
        for _ in range(10):
            _, state = tx.update(jax.tree.map(jnp.ones_like, trained), state, trained)
        last = jcnn.diagnose(*network, X, LABELS, optimizer=tx, optimizer_state=state)
        assert max(layer.update_ratio for layer in last.layers) < 1e-5
        assert min(layer.update_ratio for layer in first.layers) > 1e-3


def test_batch_statistics_of_linen_change_in_training_only():
    net = LinenNet(3)
    variables = net.init(jax.random.key(1), X, train=False)
    module = jcnn.adapt(net, variables)
    outputs = module(X)
    expected, changed = net.apply(variables, X, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    after = module.parameters
    jax.tree.map(np.testing.assert_array_equal, after["batch_stats"], changed["batch_stats"])
    module.eval()
    expected = net.apply({**variables, **changed}, X, train=False)
    np.testing.assert_allclose(module(X), expected, rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, module.parameters, after)
    assert set(nnx.state(module, nnx.Param)["params"]) == {"params"}


def test_dropout_draws_in_training_only():
    kept = {}
    for name, module in {
        "nnx": jcnn.adapt(NnxNet(3, dropout=0.5, rngs=nnx.Rngs(0)), output="logits"),
        "equinox": jcnn.adapt(EquinoxNet(3, dropout=0.5, key=jax.random.key(0))),
        "linen": jcnn.adapt(
            LinenNet(3, dropout=0.5), LinenNet(3).init(jax.random.key(0), X, train=False)
        ),
    }.items():
        assert not np.allclose(module(X), module(X)), name
        module.eval()
        kept[name] = module(X)
        np.testing.assert_array_equal(module(X), kept[name])


def test_flags_keys_and_outputs_of_ones_own_call():
    seen = []

    def call(model, x, training, key):
        seen.append((training, jnp.shape(key)))
        return model(x, train=training)

    module = jcnn.adapt(NnxNet(3, rngs=nnx.Rngs(0)), call=call, output=lambda y: y["logits"])
    assert module(X).shape == (32, 3)
    module.eval()
    module(X)
    assert seen == [(True, ()), (False, ())]

    def apply(params, x, *, inference):
        return x.mean((1, 2, 3))[:, None] * params["w"], inference

    function = jcnn.adapt(apply, {"w": jnp.ones(3), "n": jnp.ones((), jnp.int32)}, output=1)
    assert function(X) is False
    assert set(nnx.state(function, nnx.Param)["params"]) == {"w"}


def test_what_needs_nothing_stays_as_it_is():
    model = jcnn.models.lenet((8, 8, 1), 3, rngs=nnx.Rngs(0))
    assert jcnn.adapt(model) is model
    wrapped = jcnn.adapt(NnxNet(3, rngs=nnx.Rngs(0)), output="logits")
    assert isinstance(wrapped, Called)
    assert jcnn.adapt(wrapped) is wrapped
    net = jcnn.adapt(*_pair())
    assert isinstance(net, FunctionModule)
    assert jcnn.adapt(net) is net


def _pair():
    init, apply = plain_net(3)
    return apply, init(jax.random.key(0), X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((lambda: (LinenNet(3), X, LABELS)), "a LinenNet, which holds no parameters; expected"),
        ((lambda: (3, X, X, LABELS)), "model is a int; expected a module of Flax or Equinox"),
        ((lambda: (NnxNet(3, rngs=nnx.Rngs(0)), X, LABELS)), "returns a dict; .* output='logits'"),
        ((lambda: (NnxNet(3, rngs=nnx.Rngs(0)), X)), "1 arguments after the network; expected x"),
    ],
)
def test_what_is_missing_is_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        jcnn.diagnose(*arguments())


def test_an_output_that_is_not_there_is_said():
    net = NnxNet(3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="output='logit', but the model returns a dict with logi"):
        jcnn.diagnose(net, X, LABELS, output="logit")
    with pytest.raises(ValueError, match="output=2, but the model returns a tuple of 2"):
        jcnn.adapt(lambda params, x: (x, x), {}, output=2)(X)
    with pytest.raises(ValueError, match="a module of NNX holds its parameters"):
        jcnn.adapt(net, {"w": X})


def test_watching_parameters():
    init, apply = plain_net(3)
    params, tx = init(jax.random.key(0), X), optax.adam(0.1)
    state = tx.init(params)
    watch = jcnn.watch(apply, params, X, LABELS, every=1, optimizer=tx, on_change=None)

    def loss(params):
        return jcnn.losses.cross_entropy(apply(params, X), LABELS).mean()

    @jax.jit
    def step(params, state):
        figures = watch.measure(params, X, LABELS, state)
        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state, figures

    for number in range(3):
        watch(number, params, state)
        params, state, figures = step(params, state)
        watch.record(number, figures)
    rows = watch.rows
    assert len(rows) == 6
    for i in (0, 2, 4):
        assert rows[i] == pytest.approx(rows[i + 1], rel=1e-4)
    assert rows[0]["gradient/0"] != rows[4]["gradient/0"]
