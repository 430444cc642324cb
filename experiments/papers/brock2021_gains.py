"""Brock et al. 2021 and De & Smith 2020: gains that keep variance, and residual branches."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jcnn
from harness.claim import Claim, Criterion
from harness.found import Found
from harness.nets import HE
from jcnn import activations, theory

# The table of the authors' repository (nfnets/base.py).
PUBLISHED = {
    "relu": 1.71396,
    "gelu": 1.70150,
    "silu": 1.78813,
    "elu": 1.27160,
    "leaky_relu": 1.70590,
    "log_sigmoid": 1.91935,
    "relu6": 1.71315,
    "selu": 1.00085,
    "sigmoid": 4.80384,
    "softsign": 2.33885,
    "softplus": 1.92033,
    "tanh": 1.59391,
}


class Residual(nnx.Module):
    """`x + alpha W relu(x)` many times, without normalization (SkipInit: alpha begins at 0)."""

    def __init__(self, outputs: int, *, blocks: int = 100, alpha: float = 0.0, rngs: nnx.Rngs):
        width = 64
        init = HE
        keys = jax.random.split(rngs.params(), blocks)
        self.kernels = nnx.Param(jnp.stack([init(key, (width, width)) for key in keys]))
        self.alphas = nnx.Param(jnp.full(blocks, alpha))
        self.out = jcnn.layers.Dense(width, outputs, kernel_init=HE, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        def block(x: jax.Array, own: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            kernel, alpha = own
            return x + alpha * (jax.nn.relu(x) @ kernel), None

        stacked = self.kernels.get_value(), self.alphas.get_value()
        return self.out(jax.lax.scan(block, jcnn.dense.flatten(x), stacked)[0])


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Gains by quadrature, variances of a wide residual net, accuracies of a deep one."""
    apart, null = [], []
    for name, published in PUBLISHED.items():
        function = getattr(activations, name)
        apart.append(abs(theory.variance_gain(function) / published - 1))
        # Without centring, as if the mean were signal.
        z = np.random.default_rng(0).normal(size=2**20).astype(np.float32)
        null.append(abs(float(np.mean(np.asarray(function(z)) ** 2)) ** -0.5 / published - 1))
    found.add("gains, largest error", max(apart))
    found.add("gains without centring, largest error", max(null))
    for seed in range(configuration["seeds"]):
        for name, normalized in (("batch norm", True), ("no norm", False)):
            variances = np.array(_variances(configuration, seed, normalized))
            depth = np.arange(1, len(variances) + 1)
            for figure, value in {
                "least variance over l + 1": (variances / (depth + 1)).min(),
                "greatest variance over l + 1": (variances / (depth + 1)).max(),
                "variance's factor a block": variances[-1] ** (1 / len(variances)),
            }.items():
                found.add(f"{name}: {figure}", value)
    if configuration["train"]:
        _train(found)


def _variances(configuration: Mapping[str, Any], seed: int, normalized: bool) -> list[float]:
    width = configuration["width"]
    key = jax.random.key(seed)
    x = jax.random.normal(key, (configuration["examples"], width))
    found = []
    for block in range(configuration["blocks"]):
        kernel = jcnn.initializers.he_untruncated_normal()(
            jax.random.fold_in(key, block + 1), (width, width)
        )
        inside = jcnn.normalization.batch_norm(x, *jcnn.normalization.moments(x, (0,)))
        x = x + jax.nn.relu(inside if normalized else x) @ kernel
        found.append(float(jnp.var(x)))
    return found


def _train(found: Found) -> None:
    study = jcnn.Study(
        model=Residual,
        factors={"alpha": [0.0, 1.0]},
        learning_rates=[0.3, 0.1, 0.03, 0.01, 0.001],
        seeds=3,
        epochs=10,
    )
    for row in found.run(study, "skip-init").ranking():
        found.accuracies(f"alpha {row.levels['alpha']}: test accuracy", row)


CLAIM = Claim(
    name="brock2021-gains",
    source="Brock et al. 2021, gains in the authors' repository; De & Smith 2020, sections 2 and 3",
    statement="Twelve activations keep variance 1 with these gains; the variance of a residual net "
    "grows as l + 1 with batch normalization in its branches and as 2^l without; a hundred blocks "
    "without normalization train if branches begin at 0, and not if they begin at 1.",
    configuration={"width": 512, "examples": 512, "blocks": 24, "seeds": 3, "train": True},
    quick={"seeds": 1, "train": False},
    criteria=[
        Criterion("gains, largest error", 0.0, 0.002, "gains without centring, largest error"),
        Criterion(
            "batch norm: least variance over l + 1",
            0.93,
            1.07,
            "no norm: greatest variance over l + 1",
        ),
        Criterion(
            "batch norm: greatest variance over l + 1",
            0.93,
            1.07,
            "no norm: greatest variance over l + 1",
        ),
        Criterion(
            "no norm: variance's factor a block", 1.9, 2.1, "batch norm: variance's factor a block"
        ),
        Criterion("alpha 0.0: test accuracy", 0.8, 1.0, "alpha 1.0: test accuracy"),
    ],
    measure=measure,
)
