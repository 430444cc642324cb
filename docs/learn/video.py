"""Train 3-D convolutions on video clips in which a digit moves.

Command: python docs/learn/video.py
Result: docs/learn/video.svg
"""

from pathlib import Path

import jax.numpy as jnp

import jcnn
from jcnn import convolution, pooling
from jcnn.report.style import axes_of, figure, save, title

clips = jcnn.data.load("moving-digits")

# --8<-- [start:shapes]
clip = jnp.asarray(clips.train_inputs[0], jnp.float32)  # frames, rows, columns, channels
kernel = jnp.ones((3, 3, 3, 1, 4)) / 27  # 3 frames, 3 rows, 3 columns; 1 channel in, 4 out
maps = convolution.conv(clip, kernel)
print(
    "clip",
    clip.shape,
    "-> 3-D convolution",
    maps.shape,
    "-> 3-D max pooling",
    pooling.max_pool(maps, (2, 2, 2)).shape,
)
# --8<-- [end:shapes]
print(f"{len(clips.train_inputs)} clips for training, labels {', '.join(clips.classes)}")

# --8<-- [start:study]
study = jcnn.Study(
    data=clips,
    model="lenet",
    factors={"features": [(4, 8)], "pooling": ["max", "avg"]},
    learning_rates=[0.03, 0.01],
    seeds=2,
    epochs=6,
)
for row in study.run().ranking():
    print(row.levels["pooling"], "pooling:", ", ".join(f"{value:.1%}" for value in row.values))
# --8<-- [end:study]

fig = figure(2.0, width=6.4)
for line, i in zip(axes_of(fig, 2, 8), (0, 1), strict=True):
    for t, axes in enumerate(line):
        axes.imshow(clips.train_inputs[i, t, :, :, 0], cmap="gray")
        axes.set_axis_off()
    title(line[0], clips.classes[clips.train_targets[i]])
save(fig, Path(__file__).with_suffix(".svg"))
