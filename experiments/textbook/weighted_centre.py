"""Does weighted-average pooling help if the centre matters, and what does it cost?"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from harness import study_cache, timing
from harness.claim import Claim
from harness.measurements import Measurements, find_row
from harness.networks import HE
from harness.paired import points
from jcnn import layers, pooling
from jcnn.study import Study
from textbook.shared import digit_images
from textbook.shared.criteria import POINTS, TIME, at_least

POOLS = {"average": pooling.avg_pool, "weighted": pooling.weighted_avg_pool}
BACKGROUNDS = {"empty background": False, "cluttered background": True}
AHEAD = "accuracy, weighted minus average, points"
COST = "forward and backward time relative to average pooling"
WINDOWS = {"3x3 windows": ((3, 3), 2), "one window": ((28, 28), None)}


class WindowedCNN(nnx.Module):
    """Two convolutions with max pooling between, one pooling window over the map, a dense layer.

    Both poolings are means whose weights sum to 1; the weights of the weighted one are the Gaussian
    of `jcnn.pooling.gaussian_weights`.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        *,
        pooling: Callable[..., Array],
        rngs: nnx.Rngs,
    ) -> None:
        self.conv1 = layers.Conv(input_shape[-1], 16, (3, 3), kernel_init=HE, rngs=rngs)
        self.conv2 = layers.Conv(16, 32, (3, 3), kernel_init=HE, rngs=rngs)
        self.output = layers.Dense(32, outputs, kernel_init=HE, rngs=rngs)
        self.pooling = pooling

    def __call__(self, x: Array) -> Array:
        """Return logits."""
        x = pooling.max_pool(jax.nn.relu(self.conv1(x)), (2, 2))
        x = jax.nn.relu(self.conv2(x))
        return self.output(self.pooling(x, x.shape[1:3])[:, 0, 0])


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure accuracies on centred and shifted digits with and without clutter, and times."""
    for background, clutter in BACKGROUNDS.items():
        for place in ("centred", "shifted"):
            side = configuration["side"]
            study = Study(
                data=digit_images.digits_on_canvas(
                    side, centred=place == "centred", clutter=clutter
                ),
                model=WindowedCNN,
                factors={"pooling": POOLS},
                learning_rates=configuration["learning_rates"],
                seeds=configuration["seeds"],
                epochs=configuration["epochs"],
            )
            result = study_cache.run(measurements, study, f"{place}, {background}")
            rows = [find_row(result, pooling=name) for name in ("weighted", "average")]
            measurements.add(f"{place}, {background}: {AHEAD}", *points(*rows))
    x = jnp.asarray(jax.random.normal(jax.random.key(0), configuration["shape"]))
    for name, (window, strides) in WINDOWS.items():
        arms = {
            arm: timing.time_call(
                timing.forward_and_backward(
                    partial(POOLS[kind], window_shape=window, strides=strides)
                ),
                x,
            )
            for arm, kind in {
                "average": "average",
                "average again": "average",
                name: "weighted",
            }.items()
        }
        ratios = timing.relative_times(
            arms, "average", configuration["blocks"], configuration["rounds"]
        )
        measurements.add(f"cost, {name}: {COST}", *ratios[name])
        measurements.add(f"average again, {name}: {COST}", *ratios["average again"])


CLAIM = Claim(
    name="weighted-centre",
    source="usual in textbooks",
    statement="Weighted-average pooling helps if the centre matters, and costs more than "
    "average pooling.",
    configuration={
        "side": 16,
        "learning_rates": (1.0, 0.3, 0.1, 0.03, 0.01),
        "seeds": 5,
        "epochs": 15,
        "shape": (64, 28, 28, 32),
        "blocks": 5,
        "rounds": 5,
    },
    criteria=[
        *(
            at_least(f"centred, {background}: {AHEAD}", POINTS, f"shifted, {background}: {AHEAD}")
            for background in BACKGROUNDS
        ),
        *(
            at_least(f"cost, {name}: {COST}", TIME, f"average again, {name}: {COST}")
            for name in WINDOWS
        ),
    ],
    measure=measure,
)
