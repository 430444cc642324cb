"""Measure vanishing gradients layer by layer, and compare them with mean-field theory.

Command: python docs/learn/vanishing.py
Result: docs/learn/vanishing.svg
"""

from pathlib import Path

import jax
import jax.numpy as jnp
from flax import nnx

import jcnn
from jcnn.diagnosis import diagnose_layerwise, mean_field_layerwise
from jcnn.report.style import BLUE, GREEN, ORANGE, axes_of, figure, save, title

digits = jcnn.data.load("digits")
x = (jnp.asarray(digits.train_inputs[:128], jnp.float32) - digits.mean) / digits.std
labels = jnp.asarray(digits.train_targets[:128])
NETWORKS = {
    "sigmoid": (jax.nn.sigmoid, jcnn.initializers.glorot_normal(), BLUE),
    "tanh": (jnp.tanh, jcnn.initializers.glorot_normal(), ORANGE),
    "relu": (jax.nn.relu, jcnn.initializers.he_normal(), GREEN),
}

fig = figure(2.8, width=5.6)
axes = axes_of(fig)[0, 0]
for name, (activation, kernel_init, colour) in NETWORKS.items():
    # --8<-- [start:network]
    model = jcnn.models.plain_cnn(
        (8, 8, 1), 10, depth=15, activation=activation, kernel_init=kernel_init, rngs=nnx.Rngs(0)
    )
    found = diagnose_layerwise(model, x, labels).diagnosis
    theory = mean_field_layerwise(model, x, labels)
    # --8<-- [end:network]
    gradients = [layer.gradient for layer in found.layers]
    print(f"{name}: {found.verdict}")
    for verdict in found.verdicts:
        print(f"  {verdict.sentence}")
    print(f"  |dL/dh| of the first layer over the last: {found.gradient_ratio:.2g}")
    print(f"  mean-field theory:                        {theory.gradient_ratio:.2g}")
    places = range(1, len(gradients) + 1)
    axes.plot(places, gradients, "o", color=colour, markersize=4, label=name)
    axes.plot(places, theory.gradient, "--", color=colour)
axes.set(yscale="log", xlabel="layer", ylabel="|dL/dh|")
axes.legend(frameon=False, fontsize=8)
title(axes, "gradients before the first step: measured (dots), theory (lines)")
save(fig, Path(__file__).with_suffix(".svg"))
