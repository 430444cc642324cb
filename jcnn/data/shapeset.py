"""Shapeset-3x2: images of one or two triangles, parallelograms or ellipses, drawn from a seed.

Every object is an affine image of a reference figure, given by an origin and two side vectors p
and q: the triangle `0 <= u, v` with `u + v <= 1`, the square `|u|, |v| <= 1`, or the disc
`u^2 + v^2 <= 1` in the coordinates `origin + u p + v q`.
"""

from itertools import combinations_with_replacement

import numpy as np

from jcnn.data.dataset import Dataset
from jcnn.data.errors import DataError

KINDS = ("triangle", "parallelogram", "ellipse")
SIDE = 32
FOUND = "drawn from a fixed seed"
"""The source of this data set."""

_PAIRS = tuple(combinations_with_replacement(range(3), 2))
CLASSES = (*KINDS, *(f"{KINDS[first]} and {KINDS[second]}" for first, second in _PAIRS))
"""Each kind alone, then each unordered pair of kinds."""

# Each class's kinds in painting order, -1 for none: a single object is painted last.
_KINDS_OF_CLASS = np.array([(-1, 0), (-1, 1), (-1, 2), *_PAIRS])
_AREA = np.array([0.5, 4.0, np.pi])  # of the reference figures
_SIZES = 8.0, 13.0  # the square root of an object's area, in pixels
_LEAST_ANGLE = np.radians(40.0)  # of a triangle
_SKEW = np.radians(50.0)  # the least angle of a parallelogram
_LEAST_RATIO = 0.5  # between two sides or axes
_MARGIN = 1.5  # pixels between an object and the border; the longest is 28.9
_GRID = 256.0
_CONTRAST = 48
_MOST_HIDDEN = 0.5
_CHUNK = 1024


def shapeset(train: int = 50_000, test: int = 10_000, *, seed: int = 0) -> Dataset:
    """Return Shapeset-3x2 (Glorot and Bengio 2010, section 2.1): which shapes are in an image?

    Images are uint8 `(n, 32, 32, 1)` with one or two objects: triangles (no angle under 40
    degrees), parallelograms (none under 50, sides within 1:2) or ellipses (axes within 1:2). Shape,
    size (64 to 169 pixels), rotation, position and grey level are random; edges are smooth, and
    every object lies inside the image. The nine classes, equally frequent, are each kind alone and
    each unordered pair. Either of two objects may be in front; they overlap by at most half of the
    smaller one. Background and objects all differ by at least 48 of 255 grey levels.

    The paper does not give the ranges of these variations, so they are this library's. A new `seed`
    draws new images; the same arguments give the same images, and test images do not depend on
    `train`.

    Raises DataError if there are too few examples for nine classes, or the seed is negative.

    >>> from jcnn.data import shapeset
    >>> data = shapeset(train=90, test=18, seed=1)
    >>> data.input_shape, data.num_classes, data.classes[4]
    ((32, 32, 1), 9, 'triangle and parallelogram')
    """
    if train < len(CLASSES) or test < 1:
        raise DataError(
            f"shapeset: {train} training and {test} test examples, expected at least "
            f"{len(CLASSES)} and 1, so that every class occurs"
        )
    if seed < 0:
        raise DataError(f"shapeset: seed is {seed}, expected 0 or more")
    for_train, for_test = np.random.default_rng(seed).spawn(2)
    return Dataset(
        "shapeset",
        *_examples(for_train, train),
        *_examples(for_test, test),
        classes=CLASSES,
        source=FOUND,
    )


def _examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.permutation(np.arange(count, dtype=np.int32) % len(CLASSES))
    images = np.empty((count, SIDE, SIDE, 1), np.uint8)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        images[part, ..., 0] = paint(rng, scenes(rng, labels[part])[1])
    return images, labels


def scenes(rng: np.random.Generator, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return kinds `(n, 2)` in painting order, -1 for none, and their coverage `(n, 2, 32, 32)`."""
    kinds = _KINDS_OF_CLASS[labels]
    turned = (kinds[:, 0] >= 0) & (rng.random(len(kinds)) < 0.5)
    kinds[turned] = kinds[turned, ::-1]
    cover = np.zeros((len(kinds), 2, SIDE, SIDE), np.float32)
    todo = np.arange(len(kinds))
    while todo.size:
        drawn = np.zeros((todo.size, 2, SIDE, SIDE), np.float32)
        for kind in range(len(KINDS)):
            chosen = kinds[todo] == kind
            drawn[chosen] = _objects(rng, kind, int(chosen.sum()))
        cover[todo] = drawn
        todo = todo[_hides_too_much(drawn)]
    return kinds, cover


def _hides_too_much(cover: np.ndarray) -> np.ndarray:
    """Return whether two objects share more than half of the smaller one's pixels."""
    # Pixels are counted, not summed: a sum of floats would depend on the machine's vector width.
    back, front = (cover[:, layer] >= 0.5 for layer in (0, 1))
    shared, of_back, of_front = (
        np.count_nonzero(pixels, axis=(1, 2)) for pixels in (back & front, back, front)
    )
    return shared > _MOST_HIDDEN * np.minimum(of_back, of_front)


def _objects(rng: np.random.Generator, kind: int, count: int) -> np.ndarray:
    """Return the fraction of each pixel that `count` random objects cover: `(count, 32, 32)`."""
    ratio, angle = _proportions(rng, kind, count)
    size = rng.uniform(*_SIZES, count)
    turn = rng.uniform(0.0, 2.0 * np.pi, count)
    long = size / np.sqrt(_AREA[kind] * ratio * np.sin(angle))
    p = long * np.stack([np.cos(turn), np.sin(turn)])
    q = long * ratio * np.stack([np.cos(turn + angle), np.sin(turn + angle)])
    low, high = _reach(kind, p, q)
    origin = rng.uniform(_MARGIN - low, SIDE - _MARGIN - high)
    # Rounded, so that the last bit of a sine, which differs between machines, changes no pixel.
    origin, p, q = (np.round(vectors * _GRID) / _GRID for vectors in (origin, p, q))
    return _cover(kind, *(vectors.astype(np.float32) for vectors in (origin, p, q)))


def _proportions(rng: np.random.Generator, kind: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the length of q for p of length 1, and the angle from p to q in radians."""
    if KINDS[kind] == "triangle":
        cuts = np.sort(rng.random((2, count)), axis=0)
        shares = np.diff(cuts, axis=0, prepend=0.0, append=1.0)
        angles = _LEAST_ANGLE + (np.pi - 3.0 * _LEAST_ANGLE) * shares
        return np.sin(angles[1]) / np.sin(angles[2]), angles[0]
    ratio = rng.uniform(_LEAST_RATIO, 1.0, count)
    if KINDS[kind] == "ellipse":
        return ratio, np.full(count, np.pi / 2.0)
    return ratio, rng.uniform(_SKEW, np.pi - _SKEW, count)


def _reach(kind: int, p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far an object extends from its origin, down and up each axis."""
    if KINDS[kind] == "triangle":
        return np.minimum(np.minimum(p, q), 0.0), np.maximum(np.maximum(p, q), 0.0)
    far = np.abs(p) + np.abs(q) if KINDS[kind] == "parallelogram" else np.hypot(p, q)
    return -far, far


def _cover(kind: int, origin: np.ndarray, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the covered fraction of each pixel: its center's depth inside the edge, clipped.

    The depth is exact for straight edges and to first order for an ellipse.
    """
    area = p[0] * q[1] - p[1] * q[0]
    u_slope, v_slope = np.stack([q[1], -q[0]]) / area, np.stack([-p[1], p[0]]) / area
    u_steep, v_steep, w_steep = (
        np.sqrt(slope[0] ** 2 + slope[1] ** 2)[:, None, None]
        for slope in (u_slope, v_slope, u_slope + v_slope)
    )
    u, v = _coordinate(u_slope, origin), _coordinate(v_slope, origin)
    if KINDS[kind] == "triangle":
        depth = np.minimum(np.minimum(u / u_steep, v / v_steep), (1.0 - u - v) / w_steep)
    elif KINDS[kind] == "parallelogram":
        depth = np.minimum((1.0 - np.abs(u)) / u_steep, (1.0 - np.abs(v)) / v_steep)
    else:
        steep = 2.0 * np.sqrt((u * u_steep) ** 2 + (v * v_steep) ** 2)
        depth = (1.0 - u**2 - v**2) / np.maximum(steep, np.float32(1e-3))
    return np.clip(depth + np.float32(0.5), 0.0, 1.0)


def _coordinate(slope: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Evaluate at each pixel center the linear function of this slope that is 0 at the origin."""
    centers = np.arange(SIDE, dtype=np.float32) + np.float32(0.5)
    along, down = slope[..., None] * (centers - origin[..., None])
    return down[:, :, None] + along[:, None, :]


def paint(rng: np.random.Generator, cover: np.ndarray) -> np.ndarray:
    """Return grey images: a background, then each layer painted over it."""
    spare = np.sort(rng.integers(0, 256 - 2 * _CONTRAST, (len(cover), 3)), axis=1)
    levels = rng.permuted(spare + _CONTRAST * np.arange(3), axis=1).astype(np.float32)
    image = np.broadcast_to(levels[:, 2, None, None], cover[:, 0].shape)
    for layer in (0, 1):
        image = image + (levels[:, layer, None, None] - image) * cover[:, layer]
    return np.rint(image).astype(np.uint8)
