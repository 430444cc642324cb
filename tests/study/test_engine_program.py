"""The engine's compiled program, read: fast convolutions alone, and no select-and-scatter."""

import re
from dataclasses import replace

import jax
import pytest

from jcnn.bench import steps


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the slow path is XLA:CPU's")
def test_no_convolution_of_a_train_step_falls_back():
    workload = replace(steps.WORKLOADS[1], features=(4, 32, 32), batch_size=16)
    with jax.numpy_dtype_promotion("standard"):  # Optax's Adam multiplies float by int32
        text = steps.EngineTraining(workload, 2).compiled._advance.as_text()
    lines = [line for line in text.splitlines() if re.search(r"\bconvolution\(", line)]
    labels = {re.search(r"dim_labels=([^,\s]+)", line)[1] for line in lines}
    assert labels == {"b01f_01io->b01f"}
    assert "feature_group_count" not in text
    assert "batch_group_count" not in text
    assert "select-and-scatter" not in text
    # The gradient of the first layer's input would be a convolution from 4 channels to 1.
    assert not [line for line in lines if re.search(r"= f32\[\d+,28,28,1\]", line)]
