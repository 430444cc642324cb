"""Compute a loss and its gradient, and lower the loss by gradient descent.

Command: python docs/learn/loss.py
Result: docs/learn/loss.svg
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jcnn
from jcnn.report.style import BLUE, ORANGE, axes_of, figure, save, text, title

digits = jcnn.data.load("digits")
x = jnp.asarray(digits.train_inputs.reshape(-1, 64), jnp.float32) / digits.train_inputs.max()
labels = jnp.asarray(digits.train_targets)


# --8<-- [start:network]
def outputs(weights, x):
    """Return ten numbers per image; the largest one is the network's answer."""
    hidden = jax.nn.relu(x @ weights["first"])
    return hidden @ weights["second"]


def loss(weights):
    """Return how wrong the answers are, averaged over all images; 0 if right and sure."""
    return jcnn.losses.cross_entropy(outputs(weights, x), labels).mean()


# --8<-- [end:network]


draw = np.random.default_rng(0).normal
weights = {
    "first": jnp.asarray(draw(0, (2 / 64) ** 0.5, (64, 32)), jnp.float32),
    "second": jnp.asarray(draw(0, (2 / 32) ** 0.5, (32, 10)), jnp.float32),
}

# --8<-- [start:gradient]
gradient = jax.grad(loss)(weights)
slope = sum(jnp.sum(g**2) for g in gradient.values())
# --8<-- [end:gradient]
print(f"loss of untrained weights      {loss(weights):.3f}   (guessing: ln 10 = {np.log(10):.3f})")
print(f"weights                        {sum(w.size for w in weights.values())}")
print(f"squared length of the gradient {slope:.3f}")


def moved(step):
    """Return the weights after a step against the gradient."""
    return jax.tree.map(lambda w, g: w - step * g, weights, gradient)


print("\nstep    loss then   the slope alone would give")
for step in (0.01, 0.1, 1.0, 10.0):
    print(f"{step:<7} {loss(moved(step)):<11.3f} {loss(weights) - step * slope:.3f}")


# --8<-- [start:descent]
@jax.jit
def step(weights):
    return jax.tree.map(lambda w, g: w - 0.5 * g, weights, jax.grad(loss)(weights))


losses = []
trained = weights
for _ in range(200):
    losses.append(float(loss(trained)))
    trained = step(trained)
# --8<-- [end:descent]
right = jnp.mean(jnp.argmax(outputs(trained, x), axis=-1) == labels)
print(f"\nafter 200 steps of 0.5: loss {loss(trained):.3f}, {right:.1%} of the images right")

fig = figure(2.5, width=6.4)
along, course = axes_of(fig, 1, 2)[0]
steps = np.linspace(0, 8, 60)
along.plot(steps, [float(loss(moved(s))) for s in steps], color=BLUE)
line = float(loss(weights)) - steps[:8] * float(slope)
along.plot(steps[:8], line, color=ORANGE, linestyle="--")
text(along, 0.6, float(line[-1]) - 0.35, "what the slope promises", color=ORANGE)
along.set(xlabel="step against the gradient", ylim=(0, None))
title(along, "the loss along one gradient")
course.plot(losses, color=BLUE)
course.set(xlabel="step", ylim=(0, None))
title(course, "the loss over 200 steps")
save(fig, Path(__file__).with_suffix(".svg"))
