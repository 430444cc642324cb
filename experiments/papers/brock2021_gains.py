"""Brock et al. 2021 and De & Smith 2020: variance-preserving gains, and residual branches."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements
from harness.networks import HE
from jcnn import activations, theory

# From the authors' repository (nfnets/base.py).
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
    """Blocks `x + alpha W relu(x)` without normalization; SkipInit starts with alpha = 0."""

    def __init__(self, outputs: int, *, blocks: int = 100, alpha: float = 0.0, rngs: nnx.Rngs):
        width = 64
        init = HE
        keys = jax.random.split(rngs.params(), blocks)
        self.kernels = nnx.Param(jnp.stack([init(key, (width, width)) for key in keys]))
        self.alphas = nnx.Param(jnp.full(blocks, alpha))
        self.out = jcnn.layers.Dense(width, outputs, kernel_init=HE, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        def block(x: jax.Array, parameters: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            kernel, alpha = parameters
            return x + alpha * (jax.nn.relu(x) @ kernel), None

        stacked = self.kernels.get_value(), self.alphas.get_value()
        return self.out(jax.lax.scan(block, jcnn.dense.flatten(x), stacked)[0])


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Compute gains, variances of a wide residual network, and accuracies of a deep one."""
    errors, null_errors = [], []
    for name, published in PUBLISHED.items():
        function = getattr(activations, name)
        errors.append(abs(theory.variance_gain(function) / published - 1))
        # The null arm does not subtract the mean, as if it were signal.
        z = np.random.default_rng(0).normal(size=2**20).astype(np.float32)
        null_errors.append(
            abs(float(np.mean(np.asarray(function(z)) ** 2)) ** -0.5 / published - 1)
        )
    measurements.add("gains, largest error", max(errors))
    measurements.add("gains without centring, largest error", max(null_errors))
    for seed in range(configuration["seeds"]):
        for name, normalized in (("batch norm", True), ("no norm", False)):
            variances = np.array(_variances(configuration, seed, normalized))
            depth = np.arange(1, len(variances) + 1)
            for figure, value in {
                "lowest variance over l + 1": (variances / (depth + 1)).min(),
                "highest variance over l + 1": (variances / (depth + 1)).max(),
                "variance factor per block": variances[-1] ** (1 / len(variances)),
            }.items():
                measurements.add(f"{name}: {figure}", value)
    if configuration["train"]:
        _train(measurements)


def _variances(configuration: Mapping[str, Any], seed: int, normalized: bool) -> list[float]:
    width = configuration["width"]
    key = jax.random.key(seed)
    x = jax.random.normal(key, (configuration["examples"], width))
    variances = []
    for block in range(configuration["blocks"]):
        kernel = HE(jax.random.fold_in(key, block + 1), (width, width))
        normalized_x = jcnn.normalization.batch_norm(x, *jcnn.normalization.moments(x, (0,)))
        x = x + jax.nn.relu(normalized_x if normalized else x) @ kernel
        variances.append(float(jnp.var(x)))
    return variances


def _train(measurements: Measurements) -> None:
    study = jcnn.Study(
        model=Residual,
        factors={"alpha": [0.0, 1.0]},
        learning_rates=[0.3, 0.1, 0.03, 0.01, 0.001],
        seeds=3,
        epochs=10,
    )
    for row in measurements.run(study, "skip-init").ranking():
        measurements.add_accuracies(f"alpha {row.levels['alpha']}: test accuracy", row)


CLAIM = Claim(
    name="brock2021-gains",
    source="Brock et al. 2021, gains in the authors' repository; De & Smith 2020, sections 2 and 3",
    statement="Twelve activations preserve variance 1 with these gains; the variance of a residual "
    "network grows as l + 1 with batch normalization in its branches and as 2^l without; a hundred "
    "blocks without normalization train if their branches start scaled by 0, not if by 1.",
    configuration={"width": 512, "examples": 512, "blocks": 24, "seeds": 3, "train": True},
    quick={"seeds": 1, "train": False},
    criteria=[
        Criterion("gains, largest error", 0.0, 0.002, "gains without centring, largest error"),
        Criterion(
            "batch norm: lowest variance over l + 1",
            0.93,
            1.07,
            "no norm: highest variance over l + 1",
        ),
        Criterion(
            "batch norm: highest variance over l + 1",
            0.93,
            1.07,
            "no norm: highest variance over l + 1",
        ),
        Criterion(
            "no norm: variance factor per block", 1.9, 2.1, "batch norm: variance factor per block"
        ),
        Criterion("alpha 0.0: test accuracy", 0.8, 1.0, "alpha 1.0: test accuracy"),
    ],
    measure=measure,
)
