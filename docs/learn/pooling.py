"""Pool one small window and a photograph in four ways.

Command: python docs/learn/pooling.py
Result: docs/learn/pooling.svg
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_sample_image

from jcnn import pooling
from jcnn.report.style import axes_of, figure, save, title

# --8<-- [start:window]
window = jnp.array([[1.0, 1.0, 1.0], [1.0, 4.0, 1.0], [1.0, 1.0, 7.0]])
window = window[..., None]  # rows, columns, one channel
POOLINGS = {
    "max": pooling.max_pool,
    "average": pooling.avg_pool,
    "L2 norm": pooling.l2_pool,
    "weighted average": pooling.weighted_avg_pool,
}
for name, pool in POOLINGS.items():
    value = pool(window, (3, 3)).item()
    gradient = jax.grad(lambda x, pool=pool: pool(x, (3, 3)).sum())(window)[..., 0]
    text = " | ".join(" ".join(f"{g:.2f}" for g in row) for row in np.asarray(gradient))
    print(f"{name:17} {value:5.2f}   gradient {text}")
# --8<-- [end:window]

# A photograph of a dahlia by dany13 (CC BY 2.0), from scikit-learn.
photo = load_sample_image("flower.jpg")[60:380, 180:500].mean(axis=-1) / 255

# --8<-- [start:photo]
image = jnp.asarray(photo, jnp.float32)[..., None]  # (320, 320, 1)
pooled = {name: pool(image, (10, 10)) for name, pool in POOLINGS.items()}
# --8<-- [end:photo]
print(f"\nthe photograph: {image.shape}; each pooled by 10x10: {pooled['max'].shape}")
for name, value in pooled.items():
    print(f"{name:17} mean {value.mean():6.3f}   standard deviation {value.std():.3f}")

fig = figure(1.6, width=6.4)
shown = {"320 x 320 pixels": image} | pooled
for axes, (name, value) in zip(axes_of(fig, 1, 5)[0], shown.items(), strict=True):
    axes.imshow(value[..., 0], cmap="gray")
    axes.set_axis_off()
    title(axes, name.replace(" average", ""))
save(fig, Path(__file__).with_suffix(".svg"))
