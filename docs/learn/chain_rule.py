"""Multiply out the chain rule: what is left of a gradient after each layer.

Command: python docs/learn/chain_rule.py
Result: docs/learn/chain_rule.svg
"""

import itertools
import operator
from pathlib import Path

import jax
import jax.numpy as jnp

from jcnn.diagnosis import chain_rule
from jcnn.report.style import BLUE, GREEN, ORANGE, axes_of, figure, save, title

FUNCTIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}
DEPTH = 10

fig = figure(2.5, width=5.0)
axes = axes_of(fig)[0, 0]
for (name, function), colour in zip(FUNCTIONS.items(), (BLUE, ORANGE, GREEN), strict=True):
    # --8<-- [start:chain]
    chain = chain_rule(function, depth=DEPTH, x=0.5, weight=1.0, target=2.0)
    left = list(itertools.accumulate((f.value for f in chain.factors), operator.mul))
    # --8<-- [end:chain]
    print(
        f"{name:8} product of {len(left)} factors {left[-1]:+.3g}, jax.grad {chain.gradient:+.3g}"
    )
    axes.plot(range(len(left)), [abs(one) for one in left], "o-", color=colour, label=name)
axes.set(yscale="log", xlabel="factors multiplied, from the loss down to the first weight")
title(axes, f"what is left of a gradient, {DEPTH} layers")
axes.legend(frameon=False, fontsize=8)
save(fig, Path(__file__).with_suffix(".svg"))
