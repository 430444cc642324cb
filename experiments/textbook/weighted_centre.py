"""Does pooling that weighs the centre most help where the centre matters, and what does it cost?"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from harness.claim import Claim
from harness.found import Found, row_of
from harness.nets import HE
from jcnn import layers, pooling
from jcnn.study import Study
from textbook import canvas, shared, timing
from textbook.criteria import POINTS, TIME, at_least
from textbook.paired import points

POOLS = {"average": pooling.avg_pool, "weighted": pooling.weighted_avg_pool}
GROUND = {"empty ground": False, "clutter around": True}
AHEAD = "accuracy, weighted less average, points"
COST = "forward and backward, time over average pooling's"
WINDOWS = {"3x3 windows": ((3, 3), 2), "one window": ((28, 28), None)}


class OverAll(nnx.Module):
    """Two convolutions, pooled by 2 between; then one pooling window over all, and a dense layer.

    Both poolings are a mean whose weights add up to 1; the weighted one is the Gaussian of
    `jcnn.pooling.gaussian_weights`.
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
        """Logits."""
        x = pooling.max_pool(jax.nn.relu(self.conv1(x)), (2, 2))
        x = jax.nn.relu(self.conv2(x))
        return self.output(self.pooling(x, x.shape[1:3])[:, 0, 0])


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Accuracies on digits in the centre or anywhere, alone or among others; and times."""
    for ground, clutter in GROUND.items():
        for place in ("centred", "shifted"):
            side = configuration["side"]
            study = Study(
                data=canvas.placed(side, centred=place == "centred", clutter=clutter),
                model=OverAll,
                factors={"pooling": POOLS},
                learning_rates=configuration["learning_rates"],
                seeds=configuration["seeds"],
                epochs=configuration["epochs"],
            )
            result = shared.run(found, study, f"{place}, {ground}")
            rows = [row_of(result, pooling=name) for name in ("weighted", "average")]
            found.add(f"{place}, {ground}: {AHEAD}", *points(*rows))
    x = jnp.asarray(jax.random.normal(jax.random.key(0), configuration["shape"]))
    for name, (window, strides) in WINDOWS.items():
        sides = {
            side: timing.calls(
                timing.backward(partial(POOLS[kind], window_shape=window, strides=strides)), x
            )
            for side, kind in {
                "average": "average",
                "average again": "average",
                name: "weighted",
            }.items()
        }
        over = timing.over(sides, "average", configuration["blocks"], configuration["rounds"])
        found.add(f"cost, {name}: {COST}", *over[name])
        found.add(f"average again, {name}: {COST}", *over["average again"])


CLAIM = Claim(
    name="weighted-centre",
    source="usual in textbooks",
    statement="Weighted-average pooling helps where the centre matters, and costs more than "
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
            at_least(f"centred, {ground}: {AHEAD}", POINTS, f"shifted, {ground}: {AHEAD}")
            for ground in GROUND
        ),
        *(
            at_least(f"cost, {name}: {COST}", TIME, f"average again, {name}: {COST}")
            for name in WINDOWS
        ),
    ],
    measure=measure,
)
