"""Distributions of accuracies over seeds, all arms alike."""

import numpy as np

EQUAL_ARMS = {
    "normal": lambda rng, size: rng.normal(0.9, 0.01, size),
    "binomial": lambda rng, size: rng.binomial(359, 0.97, size) / 359,
    "few examples": lambda rng, size: rng.binomial(50, 0.9, size) / 50,
    "heavy tails": lambda rng, size: 0.9 + 0.01 * rng.standard_t(3, size),
    "skewed": lambda rng, size: 1 - 0.02 * rng.exponential(size=size),
    "collapses": lambda rng, size: np.where(
        rng.random(size) < 0.1, 0.1, rng.normal(0.9, 0.01, size)
    ),
}
