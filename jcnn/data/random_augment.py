"""RandAugment: a few operations drawn for each image, of one strength (Cubuk et al. 2020)."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax, vmap
from jax.typing import ArrayLike

from jcnn.arguments import is_integer

STRONGEST = 30
"""The greatest magnitude."""

Change = Callable[[Array, Array, float], Array]

# Operations that move pixels; the others change their values.
_MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")


def rand_augment(
    key: Array, images: ArrayLike, *, magnitude: int = 9, operations: int = 2
) -> Array:
    """Apply `operations` random operations to each image, each of a strength of `magnitude` of 30.

    An operation is drawn uniformly from: none, shear (up to 0.3) and translate (up to 150/331 of
    the side) along either axis, rotate (up to 30 degrees), brightness, contrast, saturation and
    sharpness (by up to 0.9), posterize (down to 4 bits), solarize (values above a threshold, which
    falls from 255 to 0), autocontrast and equalize; signs are random. These are the operations of
    Cubuk et al. 2020 (arXiv:1909.13719), with the ranges of torchvision's RandAugment. Each pixel
    is that of the nearest position in the original image, or 0 outside of it.

    Images are uint8, `(n, height, width, channels)`; saturation changes those of 3 channels only.
    Raises ValueError for others, and for numbers out of range.

    >>> import jax, jax.numpy as jnp
    >>> images = jnp.arange(2 * 8 * 8 * 3, dtype=jnp.uint8).reshape(2, 8, 8, 3)
    >>> rand_augment(jax.random.key(0), images, magnitude=9).shape
    (2, 8, 8, 3)
    """
    images = jnp.asarray(images)
    if images.dtype != jnp.uint8 or images.ndim != 4:
        raise ValueError(
            f"images are {images.dtype} of shape {images.shape}; randaugment expects uint8 "
            "(n, height, width, channels)"
        )
    if not is_integer(magnitude) or not 0 <= magnitude <= STRONGEST:
        raise ValueError(f"magnitude is {magnitude}, expected a whole number from 0 to {STRONGEST}")
    if not is_integer(operations) or operations < 1:
        raise ValueError(f"operations is {operations}, expected a whole number of at least 1")
    for step_key in jax.random.split(key, int(operations)):
        images = _one(step_key, images, magnitude / STRONGEST)
    return images


def _one(key: Array, images: Array, strength: float) -> Array:
    """Apply one operation, drawn for each image."""
    chosen_key, sign_key = jax.random.split(key)
    count = len(images)
    drawn = jax.random.randint(chosen_key, (count,), 0, 1 + len(_MOVES) + len(_CHANGES))
    signs = jax.random.rademacher(sign_key, (count,), jnp.float32)

    def changed(arguments: tuple[Array, Array, Array]) -> Array:
        image, place, sign = arguments
        # Place 0 and the moves come before the changes.
        moved = _move(image[None], place[None] - 1, sign[None], strength).astype(jnp.float32)
        changes: list[Callable[[Array], Array]] = [lambda x: x]
        changes += [partial(_changed, c, sign, strength) for c in _CHANGES]
        values = lax.switch(jnp.maximum(place - len(_MOVES), 0), changes, moved)[0]
        return jnp.clip(jnp.round(values), 0, 255).astype(jnp.uint8)

    # One image after another computes only what was drawn for it, and all together compute every
    # change of every image.
    return lax.platform_dependent(
        images,
        drawn,
        signs,
        cpu=lambda *a: lax.map(changed, a),
        default=lambda *a: vmap(changed)(a),
    )


def _changed(change: Change, sign: Array, strength: float, x: Array) -> Array:
    return change(x, sign.reshape(1, 1, 1, 1), strength)


def _move(images: Array, move: Array, sign: Array, strength: float) -> Array:
    """Shear, translate or rotate each image, about its middle, or leave it."""
    height, width = images.shape[1:3]
    size = sign * strength

    def only(kind: str) -> Array:
        return jnp.where(move == _MOVES.index(kind), size, 0.0)

    angle = only("rotate") * jnp.float32(jnp.pi / 6)
    rows, columns = jnp.meshgrid(
        jnp.arange(height, dtype=jnp.float32) - (height - 1) / 2,
        jnp.arange(width, dtype=jnp.float32) - (width - 1) / 2,
        indexing="ij",
    )

    def source(angle: Array, shear_x: Array, shear_y: Array, right: Array, down: Array) -> Array:
        x = jnp.cos(angle) * columns - jnp.sin(angle) * rows + shear_x * rows - right
        y = jnp.sin(angle) * columns + jnp.cos(angle) * rows + shear_y * columns - down
        return jnp.stack([jnp.round(y + (height - 1) / 2), jnp.round(x + (width - 1) / 2)])

    places = jax.vmap(source)(
        angle,
        0.3 * only("shear_x"),
        0.3 * only("shear_y"),
        jnp.round(150 / 331 * width * only("translate_x")),
        jnp.round(150 / 331 * height * only("translate_y")),
    ).astype(jnp.int32)

    def moved(image: Array, place: Array) -> Array:
        y, x = place
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        pixels = image[jnp.clip(y, 0, height - 1), jnp.clip(x, 0, width - 1)]
        return jnp.where(inside[..., None], pixels, jnp.zeros_like(pixels))

    return jax.vmap(moved)(images, places)


def _blend(first: Array, second: Array, factor: Array) -> Array:
    return jnp.clip(first + factor * (second - first), 0, 255)


def _brightness(x: Array, sign: Array, strength: float) -> Array:
    return _blend(jnp.zeros_like(x), x, 1 + 0.9 * sign * strength)


def _grey(x: Array) -> Array:
    if x.shape[-1] != 3:
        return x.mean(axis=-1, keepdims=True)
    weights = jnp.array([0.2989, 0.587, 0.114], jnp.float32)
    return (x * weights.reshape(1, 1, 1, 3)).sum(axis=-1, keepdims=True)


def _contrast(x: Array, sign: Array, strength: float) -> Array:
    return _blend(_grey(x).mean(axis=(1, 2, 3), keepdims=True), x, 1 + 0.9 * sign * strength)


def _saturation(x: Array, sign: Array, strength: float) -> Array:
    return _blend(_grey(x), x, 1 + 0.9 * sign * strength) if x.shape[-1] == 3 else x


def _sharpness(x: Array, sign: Array, strength: float) -> Array:
    """Blend with a smoothed image, whose border stays."""
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = x.shape[1:3]
    around = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    smooth = (sum(around[1:], start=around[0]) + 4 * x) / 13
    inner = jnp.zeros((1, height, width, 1), bool).at[:, 1:-1, 1:-1].set(True)
    return _blend(jnp.where(inner, smooth, x), x, 1 + 0.9 * sign * strength)


def _posterize(x: Array, sign: Array, strength: float) -> Array:
    step = 2 ** round(4 * strength)
    return jnp.floor(x / step) * step


def _solarize(x: Array, sign: Array, strength: float) -> Array:
    return jnp.where(x >= 255 * (1 - strength), 255 - x, x)


def _autocontrast(x: Array, sign: Array, strength: float) -> Array:
    low, high = (f(x, axis=(1, 2), keepdims=True) for f in (jnp.min, jnp.max))
    return jnp.where(high > low, (x - low) * 255 / jnp.maximum(high - low, 1), x)


def _equalize(x: Array, sign: Array, strength: float) -> Array:
    """Spread each channel so that its values occur equally often."""
    shape, pixels = x.shape, x.shape[1] * x.shape[2]
    flat = jnp.moveaxis(x, -1, 1).reshape(-1, pixels)

    def channel(values: Array) -> Array:
        values = values.astype(jnp.int32)
        counts = jnp.zeros(256, jnp.int32).at[values].add(1)
        last = counts[jnp.max(values)]
        step = (pixels - last) // 255
        below = jnp.cumsum(counts) - counts
        table = jnp.clip((below + step // 2) // jnp.maximum(step, 1), 0, 255)
        return jnp.where(step > 0, table[values], values).astype(jnp.float32)

    equalized = jax.vmap(channel)(flat)
    return jnp.moveaxis(equalized.reshape(shape[0], shape[3], *shape[1:3]), 1, -1)


_CHANGES: tuple[Change, ...] = (
    _brightness,
    _contrast,
    _saturation,
    _sharpness,
    _posterize,
    _solarize,
    _autocontrast,
    _equalize,
)
