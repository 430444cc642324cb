"""Small data and models that tests of several packages share: they compile in no time."""

import jax
import numpy as np

import jcnn
from jcnn import layers


def images(*shape):
    """Normal values that are the same at every call."""
    return jax.random.normal(jax.random.key(1), shape)


def blobs(n=200, *, features=6, distance=2, seed=0):
    """Two classes of normal points whose means are `distance` apart in every feature."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    x = rng.normal(size=(n, features)) + distance * labels[:, None]
    return x.astype(np.float32), labels


def linear(input_shape, outputs, *, kernel_init=jcnn.initializers.lecun_normal, rngs):
    """One dense layer."""
    return layers.Dense(input_shape[0], outputs, kernel_init=kernel_init, rngs=rngs)
