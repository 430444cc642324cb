"""Small data and models that tests of several packages share: they compile in no time."""

import jax
import numpy as np

import jcnn
from jcnn import layers
from jcnn.study import Study


def images(*shape):
    """Normal values that are the same at every call."""
    return jax.random.normal(jax.random.key(1), shape)


def blobs(n=200, *, features=6, distance=2, seed=0):
    """Two classes of normal points whose means are `distance` apart in every feature."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    x = rng.normal(size=(n, features)) + distance * labels[:, None]
    return x.astype(np.float32), labels


LECUN = jcnn.initializers.lecun_normal()


def linear(input_shape, outputs, *, kernel_init=LECUN, rngs):
    """One dense layer."""
    return layers.Dense(input_shape[0], outputs, kernel_init=kernel_init, rngs=rngs)


def study(**changed):
    """A study of four runs in two groups on 80 points, with these settings changed."""
    keywords = {
        "data": blobs(80, features=4, distance=1),
        "model": "mlp",
        "factors": {"activation": ["tanh", "relu"], "hidden": [(4,)]},
        "learning_rates": [0.1],
        "seeds": 2,
        "epochs": 1,
        "batch_size": 16,
    }
    return Study(**keywords | changed)


def runs_loaded(directory, **changed):
    """How many runs of `study` were kept in the directory already, and how many there are."""
    result = study(**changed).run(directory)
    return result.environment["runs_loaded"], len(result.records)


# A factor that makes an mlp small.
NARROW = {"hidden": [(16,)]}

# A few runs of a short training on digits, to which tests add what they are about.
SMALL = {"epochs": 2, "seeds": 2, "learning_rates": [0.1, 0.03], "batch_size": 128}

# The study of the fixture `finished_study`: runs at the second learning rate diverge.
STUDY_OF_DIGITS = {
    "model": "mlp",
    "factors": {"activation": ["tanh", "relu"], "hidden": [(16,)]},
    "learning_rates": [0.1, 30.0],
    "seeds": 3,
    "epochs": 2,
    "batch_size": 128,
}
