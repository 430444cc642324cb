"""One combination that cannot be built, traced or compiled does not take the others down."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import jcnn
from jcnn import layers
from jcnn.errors import UsageError
from tests.small import study


@jax.custom_vjp
def without_gradient(x):
    return x


def no_gradient(residuals, gradient):
    raise NotImplementedError("no gradient is known")


without_gradient.defvjp(lambda x: (x, None), no_gradient)


class Net(nnx.Module):
    def __init__(self, outputs, fault, rngs):
        if fault == "built":
            raise UsageError("three is not a width")
        self.fault = fault
        self.out = layers.Dense(4, outputs, rngs=rngs)
        self.deterministic = False  # set by `model.eval()`

    def __call__(self, x):
        if self.fault == "forward":
            raise RuntimeError("no way forward")
        if self.fault == "evaluation" and self.deterministic:
            raise RuntimeError("not to be evaluated")
        return self.out(without_gradient(x) if self.fault == "gradient" else x)


class Untrainable(Net):
    def __call__(self, x):
        return without_gradient(self.out(x)) if self.fault == "gradient" else super().__call__(x)


def net(input_shape, outputs, *, fault, rngs):
    return Untrainable(outputs, fault, rngs)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("built", "UsageError.* with fault=built .*three is not a width"),
        ("forward", r"RuntimeError at test_failing_alone.py:\d+ .*no way forward"),
        (
            "gradient",
            r"training step of the model raised NotImplementedError at test_failing_alone.py:\d+ "
            "with fault=gradient: no gradient is known",
        ),
        (
            "evaluation",
            r"training step of the model raised RuntimeError at test_failing_alone.py:\d+ with "
            "fault=evaluation: not to be evaluated",
        ),
    ],
)
def test_a_fault_of_one_combination_is_its_own(fault, reason):
    result = study(model=net, factors={"fault": ["none", fault]}).run()
    assert [row.levels["fault"] for row in result.ranking()] == ["none"]
    assert list(result.failures) == [1]
    with pytest.raises(ValueError, match=reason):
        raise ValueError(result.failures[1])


def counting(input_shape, outputs, *, kernel_init, rngs):
    model = layers.Dense(4, outputs, kernel_init=kernel_init, rngs=rngs)
    if kernel_init is jcnn.initializers.zeros:
        model.count = nnx.Variable(jnp.int32(0))
    return model


def test_combinations_that_do_not_fit_one_program_are_trained_alone():
    """Initializers are taken to share a program; with one of them the model has another state."""
    levels = {"normal": jcnn.initializers.lecun_normal(), "zeros": jcnn.initializers.zeros}
    one = study(model=counting, factors={"kernel_init": levels})
    assert len(one.groups) == 1
    result = one.run()
    assert not result.failures
    assert len(result.records) == 4


def test_a_combination_that_fails_to_compile_leaves_those_of_its_group(monkeypatch):
    whole = jcnn.study.job.Job.compile

    def compiled(self, capacity):
        if any(self.members[run.member].value("momentum") == 0.5 for run in self.runs):
            raise RuntimeError("no such kernel")
        return whole(self, capacity)

    monkeypatch.setattr(jcnn.study.job.Job, "compile", compiled)
    result = study(factors={"momentum": [0.0, 0.5, 0.9], "hidden": [(4,)]}).run()
    assert sorted(row.levels["momentum"] for row in result.ranking()) == ["0.0", "0.9"]
    assert result.failures == {1: "RuntimeError: no such kernel"}
