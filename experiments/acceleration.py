"""How much faster do networks of Flax's layers train with `jcnn.accelerate`?

Command: python experiments/acceleration.py
Cost: about three minutes on 2 CPU cores, most of it for the networks that are not accelerated.
Result (experiments/results/acceleration-cpu.json): steps in a scan are 50 times faster for a CNN,
32 for ResNet-20, 23 for depthwise convolutions and 18 for a U-Net; steps that Python calls are 2.4,
0.9, 1.3 and 2.7 times as fast. The losses agree to 1e-7.

Each network trains with Adam, once by a jitted step that Python calls, and once by a jitted
`lax.scan` over steps. Both are timed with and without `jcnn.accelerate` around the loss, in turns,
apart from compilation. A ratio is the median time of a step without it, divided by that with it.
The losses after the scan must agree.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

import jcnn
from jcnn import strict_json
from jcnn.bench import hardware
from jcnn.bench.clock import interleaved, timed

RESULTS = Path(__file__).parent / "results"
STEPS = 2  # in the scan
ROUNDS = 6


class Plain(nnx.Module):
    """Two 3x3 convolutions, each with max pooling, and two dense layers, for 28x28 images."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(1, 32, (3, 3), rngs=rngs)
        self.second = nnx.Conv(32, 64, (3, 3), rngs=rngs)
        self.hidden = nnx.Linear(7 * 7 * 64, 128, rngs=rngs)
        self.output = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Return logits."""
        for conv in (self.first, self.second):
            x = nnx.max_pool(nnx.relu(conv(x)), (2, 2), strides=(2, 2))
        return self.output(nnx.relu(self.hidden(x.reshape(len(x), -1))))


class Block(nnx.Module):
    """A residual block with batch normalization."""

    def __init__(self, inputs: int, outputs: int, stride: int, rngs: nnx.Rngs) -> None:
        conv = partial(nnx.Conv, use_bias=False, rngs=rngs)
        self.first = conv(inputs, outputs, (3, 3), strides=stride)
        self.second = conv(outputs, outputs, (3, 3))
        self.norms = nnx.List([nnx.BatchNorm(outputs, rngs=rngs) for _ in range(2)])
        self.shortcut = conv(inputs, outputs, (1, 1), strides=stride) if stride > 1 else None

    def __call__(self, x: Array) -> Array:
        """Return the sum of the branch and the shortcut."""
        y = nnx.relu(self.norms[0](self.first(x)))
        x = x if self.shortcut is None else self.shortcut(x)
        return nnx.relu(self.norms[1](self.second(y)) + x)


class ResNet20(nnx.Module):
    """ResNet-20 for 32x32 images (He et al. 2016)."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.stem = nnx.Conv(3, 16, (3, 3), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        widths = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2
        widths += [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.blocks = nnx.List([Block(*width, rngs=rngs) for width in widths])
        self.output = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Return logits."""
        x = nnx.relu(self.norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.output(x.mean((1, 2)))


class Depthwise(nnx.Module):
    """A stem and three blocks of depthwise 3x3 and pointwise convolutions, as in MobileNet."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.stem = nnx.Conv(3, 32, (3, 3), strides=2, rngs=rngs)
        self.depthwise = nnx.List(
            [nnx.Conv(32, 32, (3, 3), feature_group_count=32, rngs=rngs) for _ in range(3)]
        )
        self.pointwise = nnx.List([nnx.Conv(32, 32, (1, 1), rngs=rngs) for _ in range(3)])
        self.output = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Return logits."""
        x = nnx.relu(self.stem(x))
        for depthwise, pointwise in zip(self.depthwise, self.pointwise, strict=True):
            x = nnx.relu(pointwise(nnx.relu(depthwise(x))))
        return self.output(x.mean((1, 2)))


class UNet(nnx.Module):
    """One level of a U-Net: convolution, max pooling, and a transposed convolution back up."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.down = nnx.Conv(3, 32, (3, 3), rngs=rngs)
        self.bottom = nnx.Conv(32, 32, (3, 3), rngs=rngs)
        self.up = nnx.ConvTranspose(32, 32, (2, 2), strides=(2, 2), rngs=rngs)
        self.output = nnx.Conv(64, 10, (1, 1), rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Return logits, averaged over positions."""
        skip = nnx.relu(self.down(x))
        x = nnx.relu(self.bottom(nnx.max_pool(skip, (2, 2), strides=(2, 2))))
        x = nnx.relu(self.up(x))
        return self.output(jnp.concatenate([skip, x], axis=-1)).mean((1, 2))


# The network, and the shape of a batch.
NETWORKS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "CNN, 28x28, batch 128": (Plain, (128, 28, 28, 1)),
    "ResNet-20, 32x32, batch 64": (ResNet20, (64, 32, 32, 3)),
    "depthwise CNN, 32x32, batch 64": (Depthwise, (64, 32, 32, 3)),
    "U-Net, 32x32, batch 64": (UNet, (64, 32, 32, 3)),
}


def main() -> None:
    """Measure the ratios and save them."""
    parser = argparse.ArgumentParser(description="Measure what jcnn.accelerate gains")
    parser.add_argument("--out", type=Path, help="save results.json in this directory")
    parser.add_argument(
        "--smoke", action="store_true", help="two networks, tiny batches, one round"
    )
    arguments = parser.parse_args()
    measured: dict[str, Any] = {}
    for name, (network, shape) in list(NETWORKS.items())[2 if arguments.smoke else 0 :]:
        small = (2, *shape[1:]) if arguments.smoke else shape
        measured[name] = measure(network, small, 1 if arguments.smoke else ROUNDS)
        print(name, strict_json.dumps(measured[name]), flush=True)
    path = RESULTS / "acceleration-cpu.json"
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        path = arguments.out / "results.json"
    path.write_text(strict_json.dumps({"networks": measured, "hardware": hardware()}) + "\n")


def measure(network: Callable[..., Any], shape: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """Return the milliseconds per step of each way, the ratios, and the difference of losses."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=shape), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 10, shape[0]))
    sides: dict[str, Callable[[], float]] = {}
    losses = []
    for way, wrap in (("plain", lambda loss: loss), ("accelerated", jcnn.accelerate)):
        state, step = training(network, wrap)
        one = jax.jit(step).lower(state, (x, labels)).compile()
        sides[f"{way}, step"] = partial(timed, one, state, (x, labels))
        batches = jax.tree.map(lambda a: jnp.stack([a] * STEPS), (x, labels))
        scan = jax.jit(partial(jax.lax.scan, step)).lower(state, batches).compile()
        sides[f"{way}, scan"] = partial(per_step, scan, state, batches)
        losses.append(np.asarray(scan(state, batches)[1]))
    times = {name: 1e3 * timing.median for name, timing in interleaved(sides, rounds).items()}
    return {
        "milliseconds": {name: round(value, 2) for name, value in times.items()},
        "ratios": {
            way: round(times[f"plain, {way}"] / times[f"accelerated, {way}"], 2)
            for way in ("step", "scan")
        },
        "difference of losses": float(np.max(np.abs(losses[0] / losses[1] - 1))),
    }


def per_step(scan: Callable[..., Any], state: Any, batches: Any) -> float:
    """Return the seconds per step of a scan."""
    return timed(scan, state, batches) / STEPS


def training(network: Callable[..., Any], wrap: Callable[..., Any]) -> tuple[Any, Any]:
    """Return the initial state, and a training step for `lax.scan`."""
    graph, params, rest = nnx.split(network(nnx.Rngs(0)), nnx.Param, ...)
    optimizer = optax.adam(1e-3)

    def loss_of(params: Any, rest: Any, x: Array, labels: Array) -> tuple[Array, Any]:
        model = nnx.merge(graph, params, rest, copy=True)
        losses = optax.softmax_cross_entropy_with_integer_labels(model(x), labels)
        return losses.mean(), nnx.state(model, nnx.Not(nnx.Param))

    gradient = jax.value_and_grad(wrap(loss_of), has_aux=True)

    def step(state: Any, batch: tuple[Array, Array]) -> tuple[Any, Array]:
        params, rest, optimizer_state = state
        (loss, rest), gradients = gradient(params, rest, *batch)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state)
        return (optax.apply_updates(params, updates), rest, optimizer_state), loss

    return (params, rest, optimizer.init(params)), step


if __name__ == "__main__":
    main()
