"""Points of a space that is too large to try every combination, for `Study(points=...)`."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jcnn.errors import UsageError

# Designs are chosen among at most this many of the combinations.
_MOST_CANDIDATES = 4000
# Exchanges start again as often as this number of multiplications per pass allows.
_MOST_WORK = 300_000_000
_PASSES = 10


class Range(NamedTuple):
    """The numbers from `low` to `high`, on a logarithmic scale with `log`.

    >>> Range(1e-3, 1.0, log=True).at(0.5)
    0.0316
    """

    low: float
    high: float
    log: bool = False

    def at(self, share: float) -> float:
        """The number at this share of the range, to three digits."""
        if self.log:
            number = self.low * (self.high / self.low) ** share
        else:
            number = self.low + (self.high - self.low) * share
        return float(f"{number:.3g}")


Space = Mapping[str, Range | Sequence[Any]]


def random_points(space: Space, n: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Draw `n` different points of `space`: a `Range` or a list of values per factor.

    Raises UsageError if the space has no values, or fewer than `n` points.

    >>> space = {"activation": ["relu", "tanh"], "learning_rate": Range(1e-3, 1.0, log=True)}
    >>> points = random_points(space, 3)
    >>> len(points), sorted(points[0])
    (3, ['activation', 'learning_rate'])
    """
    rng = np.random.default_rng(seed)
    return _different(space, n, lambda count: rng.random((count, len(space))))


def latin_hypercube(space: Space, n: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Draw `n` different points that are spread evenly over each factor of `space`.

    Each of `n` equal parts of a range has one point, and each of its values about as many. Raises
    UsageError as `random_points` does.

    >>> points = latin_hypercube({"width": [8, 16], "momentum": Range(0.0, 0.99)}, 4)
    >>> sorted(point["width"] for point in points)
    [8, 8, 16, 16]
    """
    from scipy.stats import qmc

    sampler = qmc.LatinHypercube(len(space), rng=np.random.default_rng(seed))
    return _different(space, n, sampler.random)


def fractional_factorial(
    factors: Mapping[str, Sequence[Any]], n: int, *, seed: int = 0
) -> list[dict[str, Any]]:
    """Choose `n` of the combinations of `factors` that tell main effects apart best.

    The design has a large determinant of the information matrix of an additive model (D-optimal),
    found by exchanging points; of two-level factors, half of the combinations make an orthogonal
    design. Of more than 4,000 combinations, that many are drawn to choose from.

    Raises UsageError if there are fewer than `n` combinations, or if `n` points cannot tell the
    effects of all levels apart.

    Source: Fedorov, "Theory of Optimal Experiments" (1972), for the exchanges.

    >>> factors = {"a": [0, 1], "b": [0, 1], "c": [0, 1]}
    >>> points = fractional_factorial(factors, 4)
    >>> [sum(point[name] for point in points) for name in factors]
    [2, 2, 2]
    """
    total = math.prod(len(values) for values in factors.values())
    terms = 1 + sum(len(values) - 1 for values in factors.values())
    if n > total:
        raise UsageError(f"n={n}; the factors have {total} combinations")
    if n < terms:
        raise UsageError(
            f"n={n}; expected at least {terms}: one, and one per level of a factor but its first"
        )
    rng = np.random.default_rng(seed)
    sizes = [len(values) for values in factors.values()]
    if total <= _MOST_CANDIDATES:
        grid = np.array(list(itertools.product(*map(range, sizes))))
    else:
        grid = np.unique(rng.integers(0, sizes, (max(_MOST_CANDIDATES, 4 * n), len(sizes))), axis=0)
    chosen = _exchange(_coded(grid, sizes), min(n, len(grid)), rng)
    values = [list(each) for each in factors.values()]
    return [
        {name: values[k][grid[place, k]] for k, name in enumerate(factors)}
        for place in sorted(chosen)
    ]


def _different(space: Space, n: int, draw: Any) -> list[dict[str, Any]]:
    for name, values in space.items():
        if isinstance(values, Range):
            if not values.low < values.high or (values.log and values.low <= 0):
                raise UsageError(f"{name}={values}; expected low < high, and low > 0 with log=True")
        elif not len(values):
            raise UsageError(f"factor {name!r} has no values")
    points: dict[tuple[int | float, ...], dict[str, Any]] = {}
    for _ in range(100):
        for shares in draw(n):
            point, key = {}, []
            for (name, values), share in zip(space.items(), shares, strict=True):
                if isinstance(values, Range):
                    point[name] = values.at(share)
                    key.append(point[name])
                else:
                    place = int(share * len(values))
                    point[name] = values[place]
                    key.append(place)
            points.setdefault(tuple(key), point)
            if len(points) == n:
                return [*points.values()]
    raise UsageError(f"n={n}; the space has only about {len(points)} different points")


def _coded(grid: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """A column of ones, and contrasts of each level with the mean of the others."""
    columns = [np.ones(len(grid))]
    for k, size in enumerate(sizes):
        for level in range(1, size):
            columns.append((grid[:, k] == level).astype(float) - (grid[:, k] == 0))
    return np.array(columns).T


def _exchange(x: np.ndarray, n: int, rng: np.random.Generator) -> list[int]:
    """Exchange points of a random start while that makes the determinant larger."""
    best, most = [], -math.inf
    starts = int(np.clip(_MOST_WORK // (len(x) * x.shape[1] ** 2 * n), 3, 30))
    for _ in range(starts):
        chosen = rng.choice(len(x), n, replace=False).tolist()
        for _ in range(_PASSES):
            changed = False
            for place in range(n):
                others = chosen[:place] + chosen[place + 1 :]
                rest = x[others]
                information = rest.T @ rest + 1e-9 * np.eye(x.shape[1])
                gain = np.einsum("ij,jk,ik->i", x, np.linalg.inv(information), x)
                gain[others] = -math.inf
                new = int(gain.argmax())
                if gain[new] > gain[chosen[place]] * (1 + 1e-6):
                    chosen[place], changed = new, True
            if not changed:
                break
        size = float(np.linalg.slogdet(x[chosen].T @ x[chosen] + 1e-9 * np.eye(x.shape[1]))[1])
        if size > most:
            best, most = chosen, size
    return best
