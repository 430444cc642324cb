"""RandAugment, each operation against Pillow's."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from jcnn.data import random_augment
from jcnn.data.random_augment import rand_augment
from jcnn.errors import UsageError
from jcnn.names import lookup

STRENGTH = 9 / 30


def photos(count=6, size=24, channels=3):
    """Smooth images of a limited range, with noise."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(30, 200, (count, 4, 4, channels))
    fine = coarse.repeat(size // 4, 1).repeat(size // 4, 2) + rng.normal(
        0, 12, (count, size, size, 1)
    )
    return np.clip(fine, 0, 255).astype(np.uint8)


def enhanced(kind, factor):
    return lambda image: kind(image).enhance(factor)


PILLOW = {
    "brightness": lambda sign: enhanced(ImageEnhance.Brightness, 1 + 0.9 * sign * STRENGTH),
    "contrast": lambda sign: enhanced(ImageEnhance.Contrast, 1 + 0.9 * sign * STRENGTH),
    "saturation": lambda sign: enhanced(ImageEnhance.Color, 1 + 0.9 * sign * STRENGTH),
    "sharpness": lambda sign: enhanced(ImageEnhance.Sharpness, 1 + 0.9 * sign * STRENGTH),
    "posterize": lambda sign: functools.partial(ImageOps.posterize, bits=8 - round(4 * STRENGTH)),
    "solarize": lambda sign: functools.partial(
        ImageOps.solarize, threshold=math.ceil(255 * (1 - STRENGTH))
    ),
    "autocontrast": lambda sign: ImageOps.autocontrast,
    "equalize": lambda sign: ImageOps.equalize,
}


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("name", PILLOW)
def test_a_change_of_values_is_pillows(name, sign):
    images = photos()
    change = getattr(random_augment, f"_{name}")
    signs = jnp.full((len(images), 1, 1, 1), sign, jnp.float32)
    ours = np.clip(np.round(change(jnp.asarray(images, jnp.float32), signs, STRENGTH)), 0, 255)
    for mine, image in zip(ours, images, strict=True):
        theirs = np.asarray(PILLOW[name](sign)(Image.fromarray(image)), np.float64)
        # Pillow rounds grey values and means on the way, and truncates.
        assert np.abs(mine - theirs).max() <= 1.01, name


@pytest.mark.parametrize("move", ["shear_x", "shear_y", "translate_x", "translate_y", "rotate"])
def test_a_move_is_pillows(move):
    images = photos(2)
    size = images.shape[1]
    place = random_augment._MOVES.index(move)
    for sign in (-1.0, 1.0):
        signs = jnp.full(len(images), sign, jnp.float32)
        ours = random_augment._move(
            jnp.asarray(images), jnp.full(len(images), place), signs, STRENGTH
        )
        amount, middle = sign * STRENGTH, (size - 1) / 2
        shift = round(150 / 331 * size * amount)
        # The matrix of Pillow gives the position in the original, from the centres of pixels.
        cos, sin = np.cos(amount * np.pi / 6), np.sin(amount * np.pi / 6)
        linear = {
            "shear_x": (1, 0.3 * amount, 0, 1),
            "shear_y": (1, 0, 0.3 * amount, 1),
            "rotate": (cos, -sin, sin, cos),
        }.get(move, (1, 0, 0, 1))
        right, down = (shift if move == f"translate_{axis}" else 0 for axis in "xy")
        a, b, d, e = linear
        centre = middle + 0.5
        c = centre - a * centre - b * centre - right
        f = centre - d * centre - e * centre - down
        for mine, image in zip(np.asarray(ours), images, strict=True):
            theirs = Image.fromarray(image).transform(
                (size, size), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.NEAREST
            )
            # Positions half way between two pixels are rounded in either way.
            assert np.mean(mine != np.asarray(theirs)) < 0.05, (move, sign)


def test_every_operation_is_drawn_and_every_image_gets_its_own(key):
    images = jnp.asarray(photos(1)).repeat(400, axis=0)
    changed = np.asarray(jax.jit(functools.partial(rand_augment, operations=1))(key, images))
    assert changed.dtype == np.uint8
    kinds = {image.tobytes() for image in changed}
    # None, autocontrast, equalize, posterize and solarize have one form, the others two.
    assert 1 + 4 + 2 * 9 >= len(kinds) > 18
    same = np.mean([np.array_equal(image, images[0]) for image in changed])
    assert 0.02 < same < 0.2
    again = np.asarray(rand_augment(key, images, operations=1))
    assert np.mean(changed != again) < 1e-3


def test_magnitude_0_changes_little(key):
    """Autocontrast, equalize and solarize have no strength, or one that starts at nothing."""
    images = jnp.asarray(photos(64))
    weak, strong = (
        jnp.abs(
            rand_augment(key, images, magnitude=m).astype(jnp.float32) - images.astype(jnp.float32)
        ).mean()
        for m in (0, 30)
    )
    assert weak < strong / 2


def test_grey_images_work_in_a_mapped_program(key):
    images = jnp.asarray(photos(4, channels=1))
    keys = jax.random.split(key, 3)
    many = jax.vmap(lambda key: rand_augment(key, images))(keys)
    np.testing.assert_array_equal(many[1], rand_augment(keys[1], images))


def test_its_name_has_the_magnitude():
    augmentation = lookup("augmentation", "flip+randaugment:5")
    images = jnp.asarray(photos(2))
    assert augmentation(jax.random.key(0), images).shape == images.shape
    with pytest.raises(UsageError, match="expected a whole number after the colon"):
        lookup("augmentation", "randaugment:strong")


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), {}, "expects uint8"),
        (np.zeros((8, 8, 3), np.uint8), {}, "expects uint8"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"magnitude": 31}, "from 0 to 30"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"operations": 0}, "at least 1"),
    ],
)
def test_bad_input_is_refused(key, images, options, message):
    with pytest.raises(ValueError, match=message):
        rand_augment(key, images, **options)
