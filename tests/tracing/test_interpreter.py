"""Programs are flat, and running them again gives the values and derivatives of the function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn.tracing import (
    Constant,
    Equation,
    equations_between,
    equations_up_to,
    evaluate,
    flatten,
    read,
    run_equation,
    run_equations,
)

X = jnp.array([-1.0, 0.5, 2.0])


def program_of(function, *arguments):
    return flatten(jax.make_jaxpr(function)(*arguments))


def output_of(program, *inputs, **options):
    return read(evaluate(program, inputs, **options), program.outputs[0])


def variable_of(program, name):
    """The output of the only equation with this primitive."""
    (equation,) = [equation for equation in program.equations if equation.name == name]
    return equation.outputs[0]


@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint, lambda f: jax.jit(jax.jit(f))])
def test_jitted_and_rematerialized_functions_are_inlined(wrap):
    def cube(x):
        return jnp.sin(x) ** 3

    program = program_of(lambda x: wrap(cube)(x) + 1.0, X)
    assert [e.name for e in program.equations] == ["sin", "integer_pow", "add"]
    np.testing.assert_allclose(output_of(program, X), cube(X) + 1.0, rtol=1e-6)


def test_the_scope_is_the_innermost_jitted_function():
    @jax.jit
    def inner(x):
        return jnp.sin(x)

    @jax.jit
    def outer(x):
        return inner(x) * 2.0

    program = program_of(lambda x: outer(x) + 1.0, X)
    scopes = {e.name: e.scope for e in program.equations}
    assert scopes["mul"] == "outer"
    assert scopes["add"] == ""


def test_captured_arrays_and_literals_are_constants():
    weights = jnp.array([1.0, 2.0, 3.0])
    program = program_of(lambda x: jax.jit(lambda x: x * weights)(x) + 1.0, X)
    constants = [a for e in program.equations for a in e.inputs if isinstance(a, Constant)]
    assert sorted(np.size(constant.value) for constant in constants) == [1, 3]
    np.testing.assert_allclose(output_of(program, X), X * weights + 1.0)


@jax.custom_jvp
def identity_with_slope_seven(x):
    return x


@identity_with_slope_seven.defjvp
def _(primals, tangents):
    return primals[0], 7.0 * tangents[0]


@jax.custom_vjp
def identity_with_slope_five(x):
    return x


identity_with_slope_five.defvjp(lambda x: (x, None), lambda _, cotangent: (5.0 * cotangent,))


@pytest.mark.parametrize(
    ("function", "slope"), [(identity_with_slope_seven, 7.0), (identity_with_slope_five, 5.0)]
)
def test_custom_derivatives_keep_their_rule(function, slope):
    program = program_of(lambda x: jax.jit(function)(x) * 2.0, 1.0)
    assert len(program.equations) == 2
    assert jax.grad(lambda x: output_of(program, x))(1.0) == 2.0 * slope


def test_the_derivative_by_an_offset_is_that_by_the_variable():
    program = program_of(lambda x: jnp.sum(jnp.sin(x) ** 2), X)
    sine = variable_of(program, "sin")
    zeros = jnp.zeros_like(X)
    by_offset = jax.grad(lambda offset: output_of(program, X, offsets={sine: offset}))(zeros)
    np.testing.assert_allclose(by_offset, 2 * jnp.sin(X), rtol=1e-6)
    moved = output_of(program, X, offsets={sine: jnp.ones_like(X)})
    np.testing.assert_allclose(moved, jnp.sum((jnp.sin(X) + 1) ** 2), rtol=1e-6)


def test_an_offset_of_an_input_reaches_all_that_reads_it():
    program = program_of(lambda x: jnp.sin(x) + x, X)
    shifted = output_of(program, X, offsets={program.inputs[0]: jnp.ones_like(X)})
    np.testing.assert_allclose(shifted, jnp.sin(X + 1) + X + 1, rtol=1e-6)


def test_a_replaced_variable_changes_what_follows_and_is_differentiated():
    program = program_of(lambda x: jnp.sin(x) * 3.0, X)
    sine = variable_of(program, "sin")
    replace = {sine: lambda values: values[program.inputs[0]] ** 2}
    np.testing.assert_allclose(output_of(program, X, replace=replace), 3 * X**2, rtol=1e-6)
    gradient = jax.grad(lambda x: jnp.sum(output_of(program, x, replace=replace)))(X)
    np.testing.assert_allclose(gradient, 6 * X, rtol=1e-6)
    both = output_of(program, X, replace=replace, offsets={sine: jnp.ones_like(X)})
    np.testing.assert_allclose(both, 3 * (X**2 + 1), rtol=1e-6)


def test_a_rule_decides_how_each_equation_is_run():
    program = program_of(lambda x: jnp.sin(x) + 1.0, X)
    names = []

    def with_cosines(equation, values):
        names.append(equation.name)
        if equation.name == "sin":
            return [jnp.cos(read(values, equation.inputs[0]))]
        return run_equation(equation, values)

    given = {program.inputs[0]: X}
    values = run_equations(program.equations, given, with_cosines)
    assert names == ["sin", "add"]
    np.testing.assert_allclose(values[program.outputs[0]], jnp.cos(X) + 1.0, rtol=1e-6)
    assert list(given) == program.inputs  # the values that were passed do not change


def test_control_flow_and_several_outputs_are_run_as_one_equation():
    def function(x):
        low, high = jax.lax.while_loop(
            lambda c: c[0] < 3.0, lambda c: (c[0] + 1.0, c[1] * 2.0), (x, x)
        )
        return low + high

    program = program_of(function, 0.5)
    assert [e.name for e in program.equations] == ["while", "add"]
    assert output_of(program, 0.5) == function(0.5)


def test_equations_between_and_up_to():
    def function(x, weight):
        scaled = jnp.exp(weight) * jnp.sin(x)
        return jnp.tanh(scaled) + jnp.cos(x)

    program = program_of(function, X, X)
    sine, tanh = variable_of(program, "sin"), variable_of(program, "tanh")
    between = equations_between(program, sine, tanh)
    assert [e.name for e in between] == ["mul", "tanh"]
    up_to = equations_up_to(program, tanh, given=sine)
    assert [e.name for e in up_to] == ["exp", "mul", "tanh"]
    values = run_equations(up_to, {sine: X, program.inputs[1]: 2 * X})
    np.testing.assert_allclose(values[tanh], jnp.tanh(jnp.exp(2 * X) * X), rtol=1e-6)
    assert all(isinstance(e, Equation) for e in up_to)


def test_named_variables_readers_and_dependents():
    def function(x):
        hidden = jax.ad_checkpoint.checkpoint_name(jnp.sin(x), "hidden")
        return hidden + jnp.cos(hidden), jnp.exp(x)

    program = program_of(function, X)
    hidden = program.equations[1].outputs[0]
    assert sorted(e.name for e in program.readers()[hidden]) == ["add", "cos"]
    dependents = program.dependents([hidden])
    assert variable_of(program, "cos") in dependents
    assert variable_of(program, "exp") not in dependents
    assert program.positions()[variable_of(program, "sin")] == 0


def test_programs_under_transformations():
    program = program_of(lambda x: jnp.tanh(jax.nn.relu(x)) * 2.0, X)
    rows = jnp.stack([X, 2 * X])
    expected = jnp.tanh(jax.nn.relu(rows)) * 2.0
    mapped = jax.jit(jax.vmap(lambda x: output_of(program, x)))(rows)
    np.testing.assert_allclose(mapped, expected, rtol=1e-6)
