"""Random changes of a batch of images, signals, volumes or clips, independent for each example.

All are pure functions of a key and a batch `(n, *spatial, channels)`, preserve shape and dtype, and
work under `jit` and `vmap`. Use typed threefry keys (`jax.random.key`): under `vmap` an "rbg" key
would draw the same numbers for every run. Gradients flow through the pixels that are kept and are 0
for those that are dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jcnn.arguments import is_integer

Augmentation = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Mixing:
    """An augmentation that mixes each example with the next one of its batch, and their losses.

    `mix(key, images)` returns the mixed images and the share of an example's own target in the
    loss, ``share * loss(outputs, targets) + (1 - share) * loss(outputs, partners(targets))``.
    `mixer` does so given a share from Beta(alpha, alpha), drawn once for the batch. `before` is an
    augmentation that is applied first. Raises ValueError if alpha is not positive.
    """

    mixer: Callable[[Array, Array, Array], tuple[Array, Array]]
    alpha: float | int
    before: Augmentation | None = None

    def __post_init__(self) -> None:
        """Check alpha."""
        if not self.alpha > 0:
            raise ValueError(f"alpha is {self.alpha}, expected a positive number")

    def mix(self, key: Array, images: Array) -> tuple[Array, Array]:
        """Mix a batch; return it with the share of each example's own target."""
        drawn, placed = jax.random.split(key)
        share = jax.random.beta(drawn, self.alpha, self.alpha)
        return self.mixer(placed, jnp.asarray(images), share)

    def __call__(self, key: Array, images: Array) -> Array:
        """Return the images alone."""
        if self.before is not None:
            images = self.before(key, images)
        return self.mix(key, images)[0]


def mixup(alpha: float | int) -> Mixing:
    """Average each example with the next one of its batch (Zhang et al. 2018, arXiv:1710.09412).

    ``share * x + (1 - share) * partners(x)``, in float32.

    >>> images, share = mixup(0.2).mix(jax.random.key(0), jnp.arange(2.0).reshape(2, 1, 1, 1))
    >>> bool(jnp.allclose(images.ravel(), jnp.array([1 - share, share])))
    True
    """
    return Mixing(_mixup, alpha)


def cutmix(alpha: float | int) -> Mixing:
    """Paste a box of the next example of its batch (Yun et al. 2019, arXiv:1905.04899).

    The box has the proportions of the image and a uniform centre, and is clipped at the border; the
    share is the part of the image that is left.

    >>> pair = jnp.arange(2.0).repeat(64).reshape(2, 8, 8, 1)
    >>> images, share = cutmix(1.0).mix(jax.random.key(0), pair)
    >>> bool(jnp.isclose(images[0].mean(), 1 - share))
    True
    """
    return Mixing(_cutmix, alpha)


def _mixup(key: Array, images: Array, share: Array) -> tuple[Array, Array]:
    images = images.astype(jnp.float32)
    return share * images + (1 - share) * partners(images), share


def _cutmix(key: Array, images: Array, share: Array) -> tuple[Array, Array]:
    axes = [axis for axis, length in enumerate(_checked(images).shape[1:-1], 1) if length > 1]
    side = (1 - share) ** (1 / max(len(axes), 1))
    inside = jnp.ones((1,) * images.ndim, dtype=bool)
    for axis, axis_key in zip(axes, jax.random.split(key, max(len(axes), 1)), strict=False):
        length = images.shape[axis]
        centre = jax.random.uniform(axis_key, (), maxval=length)
        offset = jnp.abs(jnp.arange(length, dtype=jnp.float32) + 0.5 - centre)
        shape = [1] * images.ndim
        shape[axis] = length
        inside = inside & (offset < side * length / 2).reshape(shape)
    left = 1 - jnp.mean(jnp.broadcast_to(inside, (1, *images.shape[1:-1], 1)))
    return jnp.where(inside, partners(images), images), left


def partners(values: Array) -> Array:
    """Return the next example of the batch for each one: what `Mixing` mixes with.

    >>> partners(jnp.arange(3)).tolist()
    [1, 2, 0]
    """
    return jnp.roll(values, -1, axis=0)


def chain(*augmentations: Augmentation) -> Augmentation:
    """Return an augmentation that applies several in order, each with its own key.

    `mixup` and `cutmix` come last; ValueError otherwise.

    >>> import jax, jax.numpy as jnp
    >>> from functools import partial
    >>> from jcnn.data.augmentation import chain, random_flip, random_shift
    >>> both = chain(partial(random_shift, max_shift=2), random_flip)
    >>> both(jax.random.key(0), jnp.ones((5, 8, 8, 1))).shape
    (5, 8, 8, 1)
    """
    *first, last = augmentations
    if any(isinstance(each, Mixing) for each in first):
        raise ValueError("mixup and cutmix mix targets too, so one of them comes last")
    if isinstance(last, Mixing):
        return replace(last, before=chain(*first) if first else None)

    def chained(key: Array, images: Array) -> Array:
        keys = jax.random.split(key, len(augmentations))
        for augmentation, own_key in zip(augmentations, keys, strict=True):
            images = augmentation(own_key, images)
        return images

    return chained


def random_shift(key: Array, images: ArrayLike, *, max_shift: int) -> Array:
    """Shift each example by whole pixels, uniform in `[-max_shift, max_shift]` per spatial axis.

    Pixels shifted in at the border are 0. An axis of length 1, such as that of a signal `(n,
    length, 1, channels)`, is not shifted. ValueError if `max_shift` is not a whole number, or as
    long as a longer axis, so that nothing of an example could be left.

    >>> import jax, jax.numpy as jnp
    >>> from jcnn.data.augmentation import random_shift
    >>> random_shift(jax.random.key(0), jnp.ones((5, 8, 8, 1)), max_shift=2).shape
    (5, 8, 8, 1)
    """
    images = _checked(images)
    lengths = images.shape[1:-1]
    shortest = min((length for length in lengths if length > 1), default=0)
    _check_pixels("max_shift", max_shift, shortest, lengths)
    margins = [max_shift if length > 1 else 0 for length in lengths]
    padded = jnp.pad(images, [(0, 0), *[(margin, margin) for margin in margins], (0, 0)])
    starts = jax.random.randint(key, (images.shape[0], len(lengths)), 0, 2 * max_shift + 1)
    starts = jnp.where(jnp.array([[length > 1 for length in lengths]]), starts, 0)

    def window(example: Array, start: Array) -> Array:
        corner = (*start, jnp.zeros((), start.dtype))
        return lax.dynamic_slice(example, corner, images.shape[1:])

    return jax.vmap(window)(padded, starts)


def random_flip(key: Array, images: ArrayLike) -> Array:
    """Mirror each example along its last spatial axis (left to right) with probability 1/2.

    >>> import jax, jax.numpy as jnp
    >>> from jcnn.data.augmentation import random_flip
    >>> random_flip(jax.random.key(0), jnp.ones((5, 8, 8, 1))).shape
    (5, 8, 8, 1)
    """
    images = _checked(images)
    mirrored = jax.random.bernoulli(key, 0.5, (images.shape[0],) + (1,) * (images.ndim - 1))
    return jnp.where(mirrored, jnp.flip(images, axis=-2), images)


def cutout(key: Array, images: ArrayLike, *, size: int) -> Array:
    """Set a square (cube) of `size` pixels per spatial axis around a random pixel to 0.

    The pixel is uniform. The square is clipped at the border, so its area varies, as in DeVries and
    Taylor 2017 (arXiv:1708.04552). ValueError if `size` is not a whole number, or as long as the
    longest axis, so that nothing of an example could be left.

    >>> import jax, jax.numpy as jnp
    >>> from jcnn.data.augmentation import cutout
    >>> cutout(jax.random.key(0), jnp.ones((5, 8, 8, 1)), size=4).shape
    (5, 8, 8, 1)
    """
    images = _checked(images)
    _check_pixels("size", size, max(images.shape[1:-1]), images.shape[1:-1])
    inside = jnp.ones((1,) * images.ndim, dtype=bool)
    for axis, axis_key in enumerate(jax.random.split(key, images.ndim - 2), start=1):
        length = images.shape[axis]
        centre = jax.random.randint(axis_key, (images.shape[0], 1), 0, length)
        offset = jnp.arange(length, dtype=centre.dtype)[None] - centre + size // 2
        along = (offset >= 0) & (offset < size)
        shape = [images.shape[0]] + [1] * (images.ndim - 1)
        shape[axis] = length
        inside = inside & along.reshape(shape)
    return jnp.where(inside, jnp.zeros_like(images), images)


def _check_pixels(name: str, value: object, length: int, lengths: tuple[int, ...]) -> None:
    """Raise ValueError unless `value` is a whole number from 0 to below `length`."""
    if not is_integer(value) or value < 0:
        raise ValueError(f"{name} is {value}, expected a whole number of pixels, 0 or more")
    if value >= length > 1:
        raise ValueError(
            f"{name} is {value}, expected less than {length} for images of "
            f"{'x'.join(map(str, lengths))} pixels, so that some of each image stays"
        )


def _checked(images: ArrayLike) -> Array:
    images = jnp.asarray(images)
    if images.ndim < 3:
        raise ValueError(
            f"images have shape {images.shape}, expected (n, *spatial, channels) with at least one "
            "spatial axis; add the channel axis with images[..., None]"
        )
    return images
