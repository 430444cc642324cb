"""Schoenholz et al. 2017, figure 5: how deep a tanh net can be follows the correlation length."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

import jcnn
from harness.claim import Claim, Criterion
from harness.found import Found, curve, row_of
from harness.nets import DeepMLP
from jcnn import initializers, theory

CRITICAL = 1.76  # the edge of chaos for this bias variance: 1.7610


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """The greatest depth that trains at each weight variance, seed by seed."""
    variances: Sequence[float] = configuration["weight_variances"]
    depths: Sequence[int] = configuration["depths"]
    bias = configuration["bias_variance"]
    study = jcnn.Study(
        model=DeepMLP,
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
    result = found.run(study, "depth")
    reached = np.array(
        [
            [curve(result, _row(result, depth, v), "train_accuracy")[:, -1] for depth in depths]
            for v in variances
        ]
    )  # (variances, depths, seeds)
    lengths = [
        theory.mean_field(jnp.tanh, weight_variance=v, bias_variance=bias).correlation_depth
        for v in variances
    ]
    for seed in range(reached.shape[2]):
        limits = [trained_depth(depths, reached[i, :, seed]) for i in range(len(variances))]
        found.add("rank correlation of depth with xi_c", _spearman(limits, lengths))
        found.add(
            "rank correlation of depth with the weight variance", _spearman(limits, variances)
        )
        off = [
            one / xi for one, xi, v in zip(limits, lengths, variances, strict=True) if v != CRITICAL
        ]
        found.add("least depth over xi_c, off the edge of chaos", min(off))
        found.add("greatest depth over xi_c, off the edge of chaos", max(off))
        others = [one for one, v in zip(limits, variances, strict=True) if v != CRITICAL]
        found.add(
            "depth at the edge of chaos over the next",
            limits[variances.index(CRITICAL)] / max(others),
        )
        for v, one in zip(variances, limits, strict=True):
            found.add(f"depth that trains at {v:g}", one)


def trained_depth(depths: Sequence[int], accuracies: np.ndarray, threshold: float = 0.5) -> float:
    """The depth at which accuracy falls to the threshold, between two tried on a line of log depth.

    The least or greatest depth tried where it lies beyond.
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


def _row(result: jcnn.Result, depth: int, variance: float) -> jcnn.study.Row:
    return row_of(result, depth=str(depth), kernel_init=f"{variance:g}")


def _spearman(first: Sequence[float], second: Sequence[float]) -> float:
    from scipy import stats

    return float(stats.spearmanr(first, second).statistic)


CLAIM = Claim(
    name="schoenholz2017-depth",
    source="Schoenholz et al. 2017, section 4 and figure 5",
    statement="The depth to which a tanh net trains follows the correlation length xi_c of "
    "mean-field theory, at about six of it, and is greatest at the edge of chaos.",
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
        Criterion("least depth over xi_c, off the edge of chaos", 3.0, 8.0),
        Criterion("greatest depth over xi_c, off the edge of chaos", 3.0, 8.0),
        Criterion("depth at the edge of chaos over the next", 1.0, math.inf),
    ],
    measure=measure,
)
