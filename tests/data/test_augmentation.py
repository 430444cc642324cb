import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn.data.augmentation import cutout, random_flip, random_shift

SHAPES = [(64, 7, 2), (64, 5, 6, 3), (64, 4, 5, 6, 1)]
OPERATIONS = {
    "shift": lambda key, x: random_shift(key, x, max_shift=2),
    "flip": random_flip,
    "cutout": lambda key, x: cutout(key, x, size=3),
}


def batch(shape: tuple[int, ...], dtype: str = "float32") -> jax.Array:
    """The same example n times, without zeros, all pixels different."""
    one = 1 + np.arange(np.prod(shape[1:])).reshape(shape[1:])
    return jnp.asarray(np.broadcast_to(one, shape), dtype)


def shifted(image: np.ndarray, offset: tuple[int, ...]) -> np.ndarray:
    result = np.zeros_like(image)
    for index in np.ndindex(image.shape[:-1]):
        source = tuple(np.subtract(index, offset))
        if all(0 <= at < size for at, size in zip(source, image.shape, strict=False)):
            result[index] = image[source]
    return result


@pytest.mark.parametrize("shape", SHAPES)
def test_shift_produces_every_offset_and_nothing_else(
    key: jax.Array, shape: tuple[int, ...]
) -> None:
    x = batch(shape)
    image = np.asarray(x[0])
    expected = {
        shifted(image, tuple(int(step) - 1 for step in offset)).tobytes(): offset
        for offset in np.ndindex((3,) * (len(shape) - 2))
    }
    changed = {row.tobytes() for row in np.asarray(random_shift(key, x, max_shift=1))}
    assert changed <= set(expected)
    assert len(changed) > 0.8 * len(expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_flip_mirrors_about_half(key: jax.Array, shape: tuple[int, ...]) -> None:
    x = batch(shape)
    changed = np.asarray(random_flip(key, x))
    mirrored = np.array([np.array_equal(row, np.flip(x[0], axis=-2)) for row in changed])
    kept = np.array([np.array_equal(row, x[0]) for row in changed])
    assert (mirrored ^ kept).all()
    assert 16 < mirrored.sum() < 48


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_cutout_zeroes_one_window_around_a_pixel(
    key: jax.Array, shape: tuple[int, ...], size: int
) -> None:
    x = batch(shape)
    image = np.asarray(x[0])
    expected = set()
    for centre in np.ndindex(image.shape[:-1]):
        cut = image.copy()
        cut[tuple(slice(max(c - size // 2, 0), max(c - size // 2 + size, 0)) for c in centre)] = 0
        expected.add(cut.tobytes())
    changed = {row.tobytes() for row in np.asarray(cutout(key, x, size=size))}
    assert changed <= expected
    assert len(changed) > 3


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "bfloat16", "float32"])
def test_dtype_is_kept_and_jit_agrees(key: jax.Array, name: str, dtype: str) -> None:
    x = batch((8, 5, 6, 3), dtype)
    eager = OPERATIONS[name](key, x)
    assert (eager.dtype, eager.shape) == (x.dtype, x.shape)
    np.testing.assert_array_equal(eager, jax.jit(OPERATIONS[name])(key, x))
    assert not np.array_equal(eager, OPERATIONS[name](jax.random.key(1), x))


@pytest.mark.parametrize("name", OPERATIONS)
def test_vmap_over_keys_agrees_with_one_at_a_time(key: jax.Array, name: str) -> None:
    x = batch((8, 5, 6, 3))
    keys = jax.random.split(key, 3)
    together = jax.vmap(OPERATIONS[name], in_axes=(0, None))(keys, x)
    for index in range(3):
        np.testing.assert_array_equal(together[index], OPERATIONS[name](keys[index], x))


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradient_is_that_of_the_pixels_kept(key: jax.Array, name: str) -> None:
    x = batch((8, 5, 6, 3))
    gradient = jax.grad(lambda x: OPERATIONS[name](key, x).sum())(x)
    shown = np.asarray(OPERATIONS[name](key, x))
    for row, kept in zip(np.asarray(gradient), shown, strict=True):
        np.testing.assert_array_equal(row, np.isin(np.asarray(x[0]), kept).astype(np.float32))


def test_zero_changes_nothing(key: jax.Array) -> None:
    x = batch((8, 5, 6, 3))
    np.testing.assert_array_equal(random_shift(key, x, max_shift=0), x)
    np.testing.assert_array_equal(cutout(key, x, size=0), x)


def test_errors(key: jax.Array) -> None:
    with pytest.raises(ValueError, match="at least one spatial axis"):
        random_flip(key, jnp.ones((4, 3)))
    with pytest.raises(ValueError, match="max_shift is -1"):
        random_shift(key, jnp.ones((4, 3, 3, 1)), max_shift=-1)
    with pytest.raises(ValueError, match="size is -1"):
        cutout(key, jnp.ones((4, 3, 3, 1)), size=-1)
