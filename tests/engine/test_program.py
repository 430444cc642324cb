"""The compiled program: only fast convolutions, and no gradient of the first layer's input."""

import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from jcnn import training
from jcnn.bench.engine_side import EngineTraining
from jcnn.bench.workloads import CONV_NETS
from tests.slow import short_first


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the slow path is XLA:CPU's")
def test_no_convolution_of_a_train_step_falls_back():
    workload = replace(CONV_NETS[1], features=(4, 32, 32), batch_size=16)
    with jax.numpy_dtype_promotion("standard"):  # Optax's Adam multiplies float by int32
        text = EngineTraining(workload, 2).compiled._advance.as_text()
    lines = [line for line in text.splitlines() if re.search(r"\bconvolution\(", line)]
    labels = {re.search(r"dim_labels=([^,\s]+)", line)[1] for line in lines}
    assert labels == {"b01f_01io->b01f"}
    assert "feature_group_count" not in text
    assert "batch_group_count" not in text
    assert "select-and-scatter" not in text


@pytest.mark.parametrize("features", short_first([((4, 32),), ((4,),), ((4, 32, 32),)]))
def test_the_gradient_of_the_first_layers_input_is_never_computed(features):
    workload = replace(CONV_NETS[1], features=features, batch_size=16)
    with jax.numpy_dtype_promotion("standard"):
        group = EngineTraining(workload, 1).compiled
        state = jax.tree.map(lambda leaf: leaf[0], group.initial_states())
        numbers = group.group.runs[0].hyperparameters
        rows = jnp.zeros((1, workload.batch_size), jnp.int32)
        step = partial(training.run.advance, group.initialization.structure, group.group.recipe)
        ranges = jnp.array([0, 1, 0, 0])
        text = str(jax.make_jaxpr(step)(state, numbers, rows, group.data, ranges))
    assert len(re.findall(r"result=kernel", text)) == len(features)
    assert len(re.findall(r"result=input", text)) == len(features) - 1
