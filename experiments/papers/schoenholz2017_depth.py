"""Schoenholz et al. 2017, figure 5: the trainable depth follows the correlation length."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements, find_row, learning_curves
from harness.networks import ScannedMLP
from jcnn import initializers, theory

CRITICAL = 1.76  # the edge of chaos for this bias variance: 1.7610


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Find the greatest depth that trains at each weight variance, per seed."""
    variances: Sequence[float] = configuration["weight_variances"]
    depths: Sequence[int] = configuration["depths"]
    bias = configuration["bias_variance"]
    study = jcnn.Study(
        model=ScannedMLP,
        factors={
            "depth": depths,
            "kernel_init": {
                f"{v:g}": initializers.scaled(initializers.lecun_untruncated_normal(), math.sqrt(v))
                for v in variances
            },
            "bias_init": {f"{bias:g}": initializers.normal(math.sqrt(bias))},
        },
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )
    result = measurements.run(study, "depth")
    accuracies = np.array(
        [[_final_accuracies(result, depth, v) for depth in depths] for v in variances]
    )  # (variances, depths, seeds)
    lengths = [
        theory.mean_field(jnp.tanh, weight_variance=v, bias_variance=bias).correlation_depth
        for v in variances
    ]
    for seed in range(accuracies.shape[2]):
        limits = [trained_depth(depths, by_depth) for by_depth in accuracies[:, :, seed]]
        _add(measurements, variances, lengths, limits)


def _final_accuracies(result: jcnn.Result, depth: int, variance: float) -> np.ndarray:
    """Return the final training accuracies of a combination, one per seed."""
    row = find_row(result, depth=str(depth), kernel_init=f"{variance:g}")
    return learning_curves(result, row, "train_accuracy")[:, -1]


def _add(
    measurements: Measurements,
    variances: Sequence[float],
    lengths: Sequence[float],
    limits: Sequence[float],
) -> None:
    """Add one seed's figures from the trainable depth at each weight variance."""
    measurements.add("rank correlation of depth with xi_c", _spearman(limits, lengths))
    measurements.add(
        "rank correlation of depth with the weight variance", _spearman(limits, variances)
    )
    ratios = [
        limit / length
        for limit, length, v in zip(limits, lengths, variances, strict=True)
        if v != CRITICAL
    ]
    measurements.add("smallest depth over xi_c, off the edge of chaos", min(ratios))
    measurements.add("largest depth over xi_c, off the edge of chaos", max(ratios))
    by_variance = dict(zip(variances, limits, strict=True))
    elsewhere = max(limit for v, limit in by_variance.items() if v != CRITICAL)
    measurements.add(
        "depth at the edge of chaos over the largest elsewhere", by_variance[CRITICAL] / elsewhere
    )
    for v, limit in by_variance.items():
        measurements.add(f"depth that trains at {v:g}", limit)


def trained_depth(depths: Sequence[int], accuracies: np.ndarray, threshold: float = 0.5) -> float:
    """Return the depth at which accuracy falls to the threshold, interpolated in log depth.

    If it lies outside the depths tried, return the smallest or largest of them.
    """
    accuracies = np.nan_to_num(accuracies)
    good = accuracies >= threshold
    if not good[0]:
        return float(depths[0])
    last = len(depths) - 1 if good.all() else int(np.argmin(good)) - 1
    if last == len(depths) - 1:
        return float(depths[-1])
    share = (accuracies[last] - threshold) / (accuracies[last] - accuracies[last + 1])
    return float(np.exp(np.interp(share, [0, 1], np.log(depths[last : last + 2]))))


def _spearman(first: Sequence[float], second: Sequence[float]) -> float:
    from scipy import stats

    return float(stats.spearmanr(first, second).statistic)


CLAIM = Claim(
    name="schoenholz2017-depth",
    source="Schoenholz et al. 2017, section 4 and figure 5",
    statement="The depth to which a tanh network trains is about six times the correlation length "
    "xi_c of mean-field theory, and greatest at the edge of chaos.",
    configuration={
        "weight_variances": [1.0, 1.4, CRITICAL, 2.2, 3.0, 4.0],
        "bias_variance": 0.05,
        "depths": [10, 20, 40, 60, 100, 160],
        "learning_rates": [0.01, 0.003, 0.001],
        "seeds": 2,
        "epochs": 17,
    },
    full={"depths": [10, 20, 40, 80, 160, 320], "seeds": 5},
    criteria=[
        Criterion(
            "rank correlation of depth with xi_c",
            0.8,
            1.0,
            "rank correlation of depth with the weight variance",
        ),
        Criterion("smallest depth over xi_c, off the edge of chaos", 3.0, 8.0),
        Criterion("largest depth over xi_c, off the edge of chaos", 3.0, 8.0),
        Criterion("depth at the edge of chaos over the largest elsewhere", 1.0, math.inf),
    ],
    measure=measure,
)
