"""Xiao et al. 2018: very deep plain CNNs train from delta-orthogonal kernels at criticality."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements, find_row, learning_curves, steps_to_target
from harness.networks import ScannedCNN
from harness.subsets import subset
from jcnn import initializers, theory

BIAS_VARIANCE = 2.01e-5
CRITICAL, ORDERED = 1.05, 0.8


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Compute norms and chi_1 exactly, then how fast each initialization learns."""
    depth, width = configuration["depth"], configuration["width"]
    for seed in range(configuration["seeds"]):
        for name, init in (
            ("delta-orthogonal", initializers.delta_orthogonal()),
            ("gaussian", initializers.lecun_untruncated_normal()),
        ):
            measurements.add(
                f"output norm over input norm of linear layers, {name}",
                _norm(depth, width, init, seed),
            )
    critical = theory.mean_field(jnp.tanh, weight_variance=CRITICAL, bias_variance=BIAS_VARIANCE)
    ordered = theory.mean_field(jnp.tanh, weight_variance=ORDERED, bias_variance=BIAS_VARIANCE)
    measurements.add("chi_1 at criticality", critical.chi)
    measurements.add("chi_1 in the ordered phase", ordered.chi)
    if configuration["train"]:
        _train(configuration, measurements)


def _norm(depth: int, width: int, init: Any, seed: int) -> float:
    """Return the norm of the features over that of the input, without activations."""
    net = ScannedCNN(
        (7, 7, width),
        10,
        depth=depth,
        width=width,
        activation=lambda x: x,
        kernel_init=init,
        rngs=nnx.Rngs(seed),
    )
    x = jax.random.normal(jax.random.key(seed), (16, 7, 7, width))
    return float(jnp.linalg.norm(net.features(x)) / jnp.linalg.norm(x))


def _train(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    kernels = {
        f"{name} {v:g}": init
        for v in (CRITICAL, ORDERED)
        for name, init in (
            ("delta-orthogonal", initializers.delta_orthogonal(math.sqrt(v))),
            (
                "gaussian",
                initializers.scaled(initializers.lecun_untruncated_normal(), math.sqrt(v)),
            ),
        )
    }
    study = jcnn.Study(
        data=subset("fashion-mnist", train=configuration["train"], test=1000, shrink=4),
        model=ScannedCNN,
        factors={
            "kernel_init": kernels,
            "bias_init": {"normal": initializers.normal(math.sqrt(BIAS_VARIANCE))},
            "depth": [configuration["depth"]],
            "width": [configuration["width"]],
        },
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
        batch_size=32,
    )
    result = measurements.run(study, "deep")
    steps = result.records[0].outcome.steps // configuration["epochs"]
    times = {}
    for name in kernels:
        row = find_row(result, kernel_init=name)
        curves = learning_curves(result, row, "validation_accuracy")
        times[name] = np.array(steps_to_target(curves, 0.6, steps=steps))
        measurements.add(f"{name}: best validation accuracy", *np.nan_to_num(curves).max(axis=1))
    for v in (CRITICAL, ORDERED):
        ratio = times[f"gaussian {v:g}"] / times[f"delta-orthogonal {v:g}"]
        measurements.add(f"steps to 60%, gaussian over delta-orthogonal, {v:g}", *ratio)


CLAIM = Claim(
    name="xiao2018-deltaorthogonal",
    source="Xiao et al. 2018, sections 2.4 and 3.3, figure 6",
    statement="A plain tanh CNN of 64 layers learns at criticality, much faster from "
    "delta-orthogonal kernels than from Gaussian ones, and not at all off criticality.",
    configuration={
        "depth": 64,
        "width": 16,
        "train": 1280,
        "learning_rates": [0.03, 0.01, 0.003],
        "seeds": 3,
        "epochs": 12,
    },
    quick={"seeds": 1, "train": 0},
    full={"depth": 1000, "width": 64, "train": 12_800, "epochs": 30},
    criteria=[
        Criterion(
            "output norm over input norm of linear layers, delta-orthogonal",
            1 - 1e-5,
            1 + 1e-5,
            "output norm over input norm of linear layers, gaussian",
            of="every",
        ),
        Criterion("chi_1 at criticality", 1 - 1e-4, 1 + 1e-4, "chi_1 in the ordered phase"),
        Criterion(
            "steps to 60%, gaussian over delta-orthogonal, 1.05",
            2.0,
            math.inf,
            "steps to 60%, gaussian over delta-orthogonal, 0.8",
        ),
        Criterion(
            "delta-orthogonal 0.8: best validation accuracy",
            0.0,
            0.6,
            "delta-orthogonal 1.05: best validation accuracy",
        ),
        Criterion("gaussian 0.8: best validation accuracy", 0.0, 0.6),
    ],
    measure=measure,
)
