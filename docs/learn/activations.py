"""Plot sigmoid, tanh and relu, and their slopes.

Command: python docs/learn/activations.py
Result: docs/learn/activations.svg
"""

from pathlib import Path

import jax
import jax.numpy as jnp

from jcnn.activations import facts
from jcnn.report.style import BLUE, GREEN, ORANGE, axes_of, figure, save, title

FUNCTIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}
COLOURS = {"sigmoid": BLUE, "tanh": ORANGE, "relu": GREEN}

# --8<-- [start:slopes]
x = jnp.linspace(-4.0, 4.0, 401)
slopes = {name: jax.vmap(jax.grad(f))(x) for name, f in FUNCTIONS.items()}
# --8<-- [end:slopes]

print(f"{'':8} {'values':>12} {'largest slope':>14}  flat at")
for name in FUNCTIONS:
    known = facts(name)
    low, high = known.range
    ends = " and ".join(known.saturates) or "no end"
    print(f"{name:8} {f'{low:.0f} to {high:.0f}':>12} {known.max_derivative:14.2f}  {ends}")

# --8<-- [start:product]
print("\nslope at x = 2, and what ten of them in a row leave of a gradient:")
for name, f in FUNCTIONS.items():
    slope = float(jax.grad(f)(2.0))
    print(f"{name:8} {slope:.3f}   {slope**10:.2g}")
# --8<-- [end:product]

fig = figure(2.5, width=6.4)
values, derivatives = axes_of(fig, 1, 2)[0]
for name, f in FUNCTIONS.items():
    values.plot(x, f(x), color=COLOURS[name], label=name)
    derivatives.plot(x, slopes[name], color=COLOURS[name], label=name)
title(values, "the function f(x)")
title(derivatives, "its slope f'(x), a gradient's factor")
values.set(ylim=(-1.2, 3), xlabel="x")
derivatives.set(ylim=(-0.05, 1.1), xlabel="x")
values.legend(frameon=False, fontsize=8)
save(fig, Path(__file__).with_suffix(".svg"))
