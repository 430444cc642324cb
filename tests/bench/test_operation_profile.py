"""Times of operations inside a compiled program."""

import jax
import jax.numpy as jnp
import pytest

from jcnn.bench.operation_profile import Profile, category, profile


def test_the_slowest_operation_is_found():
    @jax.jit
    def program(x, many):
        y = jax.lax.fori_loop(0, 3, lambda _, many: jnp.tanh(many @ many), many)
        return x + 1, y

    operands = jnp.ones(8), jnp.ones((512, 512)) / 512
    jax.block_until_ready(program(*operands))
    result = profile(lambda: jax.block_until_ready(program(*operands)))
    slowest = result.operations[0]
    product = {"matrix product", "YNNPACK"}
    assert slowest.category in product
    assert slowest.executions == 3
    assert 0 < slowest.milliseconds <= result.busy <= result.span
    assert next(iter(result.by_category())) in product
    # Loops are not operations: their bodies are.
    assert not any(operation.name.startswith("while") for operation in result.operations)


def test_nothing_that_runs_is_no_time():
    assert profile(lambda: None) == Profile([], 0.0, 0.0)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("cudnn-conv-bw-filter.2 void wgrad_alg0_engine_NHWC", "convolution"),
        ("convert.3", "elementwise"),
        ("gemm_fusion_dot.6 gemm_fusion_dot_6", "matrix product"),
        ("input_reduce_select_fusion_1", "reduction"),
        ("Memset 3", "copy"),
    ],
)
def test_the_category_of_an_operation(names, expected):
    assert category(names) == expected
