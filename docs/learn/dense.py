"""Flatten maps to a row of numbers, and train a single dense layer on the digits.

Command: python docs/learn/dense.py
Result: docs/learn/dense.svg
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

import jcnn
from jcnn.report.style import axes_of, figure, save, title
from jcnn.study import train_one

# --8<-- [start:flatten]
maps = jnp.arange(24.0).reshape(1, 2, 3, 4)  # one image: 2 rows, 3 columns, 4 channels
row = jcnn.dense.flatten(maps)
kernel, bias = jnp.ones((24, 10)), jnp.zeros(10)
print(
    "maps",
    maps.shape,
    "-> flatten",
    row.shape,
    "-> dense",
    jcnn.dense.dense(row, kernel, bias).shape,
)
# --8<-- [end:flatten]

# --8<-- [start:train]
study = jcnn.Study(
    model="mlp", factors={"hidden": [()]}, learning_rates=[0.3, 0.1, 0.03], seeds=3, epochs=20
)
(best,) = study.run().ranking()
model = train_one(study, best.combination, best.learning_rate)
# --8<-- [end:train]
shown = ", ".join(f"{value:.1%}" for value in best.values)
print(f"one dense layer, 64 pixels to 10 answers: {shown} of the test digits right (3 seeds)")

weights = np.asarray(model.output.kernel[...]).T.reshape(10, 8, 8)
limit = np.abs(weights).max()
fig = figure(0.95, width=6.4)
for digit, (axes, weight) in enumerate(zip(axes_of(fig, 1, 10)[0], weights, strict=True)):
    axes.imshow(weight, cmap="RdBu", vmin=-limit, vmax=limit)
    axes.set_axis_off()
    title(axes, str(digit))
save(fig, Path(__file__).with_suffix(".svg"))
