"""Initializers by their properties: variance, bounds, orthogonality, structure."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import initializers, layers, names
from jcnn.study import factors
from jcnn.study.storage import run_key

SHAPE = (3, 3, 40, 80)
FAN_IN, FAN_OUT = 9 * 40, 9 * 80
VARIANCES = {
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "glorot_untruncated_normal": 2 / (FAN_IN + FAN_OUT),
    "xavier_normal": 2 / (FAN_IN + FAN_OUT),
    "xavier_uniform": 2 / (FAN_IN + FAN_OUT),
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "he_untruncated_normal": 2 / FAN_IN,
    "kaiming_normal": 2 / FAN_IN,
    "kaiming_uniform": 2 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "lecun_untruncated_normal": 1 / FAN_IN,
    "standard_uniform": 1 / (3 * FAN_IN),
    "normal:0.3": 0.09,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_variance(name, key):
    values = names.lookup("kernel_init", name)(key, SHAPE, jnp.float32)
    assert values.dtype == jnp.float32
    assert float(jnp.var(values)) == pytest.approx(VARIANCES[name], rel=0.03)
    assert abs(float(jnp.mean(values))) < 0.02 * VARIANCES[name] ** 0.5
    kurtosis = float(jnp.mean(values**4)) / VARIANCES[name] ** 2
    plain = "untruncated" in name or ":" in name
    expected = 1.8 if "uniform" in name else 3.0 if plain else 2.4
    assert kurtosis == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("shape", [(20, 12), (12, 20), (3, 3, 4, 8)])
def test_orthogonal(shape, key):
    kernel = initializers.orthogonal(2.0)(key, shape, jnp.float32)
    matrix = np.asarray(kernel.reshape(-1, shape[-1]))
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, 4 * np.eye(matrix.shape[1]), atol=1e-4)


def test_delta_orthogonal_keeps_norms(key):
    kernel = np.asarray(initializers.delta_orthogonal()(key, (3, 3, 4, 6), jnp.float32))
    assert np.count_nonzero(np.abs(kernel).sum((2, 3))) == 1
    np.testing.assert_allclose(kernel[1, 1] @ kernel[1, 1].T, np.eye(4), atol=1e-5)
    with pytest.raises(ValueError, match="in <= out"):
        initializers.delta_orthogonal()(key, (3, 3, 6, 4), jnp.float32)


def test_dirac_is_the_identity(key):
    from jcnn.convolution import conv

    x = jax.random.normal(key, (1, 5, 5, 3))
    kernel = initializers.dirac()(key, (3, 3, 3, 3), jnp.float32)
    np.testing.assert_allclose(conv(x, kernel), x, atol=1e-6)


def test_gain_is_sqrt_two_for_relu_and_keeps_the_second_moment(key):
    assert initializers.gain(jax.nn.relu) == pytest.approx(2**0.5, rel=1e-9)
    kernel = initializers.scaled(initializers.lecun_normal(), initializers.gain(jnp.tanh))
    z = jnp.tanh(jax.random.normal(key, (500, 300))) @ kernel(key, (300, 300), jnp.float32)
    assert float(jnp.mean(z**2)) == pytest.approx(1, rel=0.05)


def test_initializers_work_under_vmap(key):
    keys = jax.random.split(key, 3)
    many = jax.vmap(lambda k: initializers.he_normal()(k, (4, 5), jnp.float32))(keys)
    np.testing.assert_allclose(
        many[1], initializers.he_normal()(keys[1], (4, 5), jnp.float32), rtol=1e-6
    )


def test_lsuv_gives_each_layer_unit_variance(key):
    x = 5 * jax.random.normal(key, (64, 10))
    kernels = [initializers.orthogonal()(key, shape, jnp.float32) for shape in ((10, 30), (30, 20))]

    def preactivations(kernels):
        first = x @ kernels[0]
        return [first, jnp.tanh(first) @ kernels[1]]

    scaled = initializers.lsuv(preactivations, kernels)
    for value in preactivations(scaled):
        assert float(jnp.std(value)) == pytest.approx(1, abs=0.05)
    with pytest.raises(ValueError, match="layer 1 has standard deviation 0"):
        initializers.lsuv(preactivations, [kernels[0], jnp.zeros((30, 20))])


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("make", [initializers.orthogonal, initializers.delta_orthogonal])
def test_orthogonal_in_half_precision_is_cast_from_float32(make, dtype, key):
    for shape in ((4, 6), (3, 3, 4, 6)):
        half = make(2.0)(key, shape, dtype)
        assert half.dtype == dtype
        exact = make(2.0)(key, shape, jnp.float32).astype(dtype)
        np.testing.assert_array_equal(half.astype(jnp.float32), exact.astype(jnp.float32))


@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (3, 0, 4)])
@pytest.mark.parametrize(
    "init",
    [
        initializers.he_normal(),
        initializers.glorot_uniform(),
        initializers.lecun_untruncated_normal(),
        initializers.standard_uniform(),
        initializers.dirac(),
        initializers.orthogonal(),
        initializers.delta_orthogonal(),
    ],
)
def test_shapes_that_are_not_kernels_raise(init, shape, key):
    with pytest.raises(ValueError, match=r"has no fans; expected \(\*window, in, out\)"):
        init(key, shape)


@pytest.mark.parametrize("name", [n for n in VARIANCES if "untruncated" not in n and ":" not in n])
def test_shared_names_are_those_of_jax(name, key):
    theirs = getattr(jax.nn.initializers, name.replace("xavier", "glorot"), None)
    if name == "standard_uniform":
        theirs = functools.partial(jax.nn.initializers.variance_scaling, 1 / 3, "fan_in", "uniform")
    mine = getattr(initializers, name)()(key, (3, 3, 4, 8), jnp.float32)
    np.testing.assert_array_equal(mine, theirs()(key, (3, 3, 4, 8), jnp.float32))


@pytest.mark.parametrize(
    ("init", "name"),
    [
        (initializers.he_normal(), "he_normal"),
        (initializers.kaiming_normal(), "he_normal"),
        (initializers.he_untruncated_normal(), "he_untruncated_normal"),
        (initializers.orthogonal(), "orthogonal"),
        (initializers.orthogonal(1.4), "orthogonal:1.4"),
        (initializers.delta_orthogonal(2), "delta_orthogonal:2"),
        (initializers.normal(0.01), "normal:0.01"),
        (initializers.constant(1), "constant:1"),
        (initializers.dirac(), "dirac"),
        (initializers.zeros, "zeros"),
        (initializers.lsuv_orthogonal(), "lsuv"),
    ],
)
def test_names_are_stable_and_looked_up_again(init, name):
    assert names.name_of("kernel_init", init) == name
    assert names.is_own("kernel_init", name)
    assert names.lookup("kernel_init", name) is init


def test_other_arguments_have_no_name_of_their_own(key):
    for init in (
        initializers.he_normal(in_axis=0, out_axis=1),
        initializers.normal(0.01, jnp.bfloat16),
        initializers.orthogonal(jnp.float32(2)),
        initializers.scaled(initializers.he_normal(), 0.5),
        initializers.DataDriven(initializers.he_normal()),
    ):
        assert not names.is_own("kernel_init", names.name_of("kernel_init", init))
    assert initializers.scaled(initializers.he_normal(), 0.5).name == "0.5 * he_normal"
    swapped = initializers.he_normal(in_axis=1, out_axis=0)(key, (300, 20))
    assert float(jnp.var(swapped)) == pytest.approx(2 / 20, rel=0.05)


@pytest.mark.parametrize(
    "name", ["he_normal", "lecun_uniform", "orthogonal", "normal", "dirac", "lsuv_orthogonal"]
)
def test_a_factory_that_is_not_called_says_so(name):
    message = rf"{name} is a factory of initializers, not an initializer; call it: {name}\(\)$"
    with pytest.raises(TypeError, match=message):
        layers.Dense(2, 3, kernel_init=getattr(initializers, name), rngs=nnx.Rngs(0))


def test_a_study_has_a_level_per_initializer():
    inits = [
        initializers.he_normal(),
        initializers.orthogonal(),
        initializers.orthogonal(1.4),
        initializers.lsuv_orthogonal(),
    ]
    levels = factors.levels("kernel_init", inits)
    expected = ["he_normal", "orthogonal", "orthogonal:1.4", "lsuv"]
    assert [level.name for level in levels] == expected
    assert all(level.readable("kernel_init") for level in levels)
    assert [run_key.of_value("kernel_init", init) for init in inits] == [
        (name, True) for name in expected
    ]
    halved = initializers.scaled(initializers.he_normal(), 0.5)
    assert run_key.of_value("kernel_init", halved) == ("own", False)
