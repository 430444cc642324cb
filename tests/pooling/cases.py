"""Windows, poolings with their reductions in plain numpy, and inputs that pooling's tests share."""

import jax
import numpy as np

from jcnn import pooling

# spatial shape, window, strides, padding, dilation
CASES = [
    ((6,), (2,), (2,), "VALID", (1,)),
    ((7,), (3,), (2,), "SAME", (1,)),
    ((7,), (2,), (1,), ((1, 0),), (3,)),
    ((4, 6), (2, 2), (2, 2), "VALID", (1, 1)),
    ((5, 5), (2, 2), (2, 2), "VALID", (1, 1)),
    ((5, 5), (2, 2), (2, 2), "SAME", (1, 1)),
    ((6, 7), (3, 3), (2, 2), "SAME", (1, 1)),
    ((5, 6), (3, 2), (1, 2), ((1, 1), (0, 1)), (1, 2)),
    ((4, 4, 4), (2, 2, 2), (2, 2, 2), "VALID", (1, 1, 1)),
    ((3, 4, 4), (2, 3, 2), (1, 2, 1), "SAME", (1, 1, 1)),
]


def largest(values, inside):
    masked = np.where(inside, values, -np.inf)
    return masked.max(), np.eye(len(values))[masked.argmax()]


def mean(values, inside):
    return values.sum() / len(values), np.full(len(values), 1 / len(values))


def mean_of_real(values, inside):
    return values.sum() / inside.sum(), inside / inside.sum()


def norm(p):
    def reduce(values, inside):
        total = (np.abs(values) ** p).sum() ** (1 / p)
        if total == 0:
            return 0.0, np.zeros(len(values))
        return total, np.sign(values) * (np.abs(values) / total) ** (p - 1)

    return reduce


def largest_size(values, inside):
    size = np.abs(values)
    return size.max(), np.sign(values) * np.eye(len(values))[size.argmax()]


def gaussian(window):
    weights = pooling.gaussian_weights(window).astype(np.float64).ravel()
    return lambda values, inside: (values @ weights, weights)


def soft(values, inside):
    shifted = np.where(inside, np.exp(values - values[inside].max()), 0)
    weights = shifted / shifted.sum()
    y = weights @ values
    return y, weights * (1 + values - y)


def total(values, inside):
    return values.sum(), np.ones_like(values)


def proportional(values, inside):
    positive = np.maximum(values, 0)
    weights = positive / (positive.sum() or 1)
    return weights @ values, weights


def stochastic_mean(x, *arguments, **options):
    return jax.jit(lambda x: pooling.stochastic_pool(x, *arguments, deterministic=True, **options))(
        x
    )


POOLINGS = {
    "max": (pooling.max_pool, lambda w: largest),
    "sum": (pooling.sum_pool, lambda w: total),
    "avg": (pooling.avg_pool, lambda w: mean),
    "avg_real": (
        lambda *a, **k: pooling.avg_pool(*a, count_include_pad=False, **k),
        lambda w: mean_of_real,
    ),
    "l2": (pooling.l2_pool, lambda w: norm(2)),
    "lp": (lambda *a, **k: pooling.lp_pool(*a, p=3.0, **k), lambda w: norm(3)),
    "lp_inf": (lambda *a, **k: pooling.lp_pool(*a, p=np.inf, **k), lambda w: largest_size),
    "weighted_avg": (pooling.weighted_avg_pool, gaussian),
    "soft": (pooling.soft_pool, lambda w: soft),
    "stochastic mean": (stochastic_mean, lambda w: proportional),
}


def sample(spatial, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, *spatial, 2)).astype(np.float32)
    # Ties and zeros, so that the rules for them are exercised.
    x[rng.random(x.shape) < 0.3] = 0.0
    return x.astype(dtype)
