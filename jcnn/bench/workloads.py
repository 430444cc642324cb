"""The networks that training is timed with, and their data."""

import itertools
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flax import nnx

from jcnn import data as datasets
from jcnn import engine, models, training
from jcnn.bench.flax_networks import PlainConvNet, PlainResNet

# An array per parameter of jcnn's network, by its path such as "blocks/0/conv1/kernel".
Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Workload:
    """A network, and the digits it trains on, enlarged `enlarged` times and cropped to `size`."""

    name: str
    size: int
    enlarged: int
    batch_size: int
    runs: int
    channels: int = 1
    examples: int | None = None  # all

    def data(self) -> training.Data:
        """Return the training examples (uint8) and held-out examples, prepared for the engine."""
        return engine.prepare(self.dataset(), 0.2)

    def dataset(self) -> datasets.Dataset:
        """Return the enlarged digits, with equal channels."""
        digits = datasets.load("digits")

        def enlarge(images: np.ndarray) -> np.ndarray:
            for axis in (1, 2):
                images = np.repeat(images, self.enlarged, axis)
            return np.repeat(images[:, : self.size, : self.size], self.channels, -1)

        return datasets.Dataset(
            self.name,
            enlarge(digits.train_inputs[: self.examples]),
            digits.train_targets[: self.examples],
            enlarge(digits.test_inputs),
            digits.test_targets,
            digits.classes,
            digits.source,
        )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The shape of an example."""
        return self.size, self.size, self.channels

    @abstractmethod
    def model(self, rngs: nnx.Rngs, dtype: Any = None) -> nnx.Module:
        """Return the network, built with jcnn's layers."""

    @abstractmethod
    def plain_model(self, weights: Weights) -> nnx.Module:
        """Return the network, built with Flax's layers, with these weights."""

    @abstractmethod
    def layers(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield each layer's output positions, window positions, input and output features."""

    def flops(self) -> float:
        """Return the FLOPs of a step: forward, and backward except for the input's gradient."""
        products = [2 * math.prod(layer) for layer in self.layers()]
        return float((3 * sum(products) - products[0]) * self.batch_size)


@dataclass(frozen=True)
class ConvNet(Workload):
    """3x3 convolutions, each with ReLU and 2x2 max pooling, and dense layers."""

    features: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()

    def model(self, rngs: nnx.Rngs, dtype: Any = None) -> nnx.Module:
        """Return `models.lenet`."""
        return models.lenet(
            self.input_shape,
            10,
            features=self.features,
            hidden=self.hidden,
            dtype=dtype,
            rngs=rngs,
        )

    def plain_model(self, weights: Weights) -> nnx.Module:
        """Return the same network of Flax's layers."""
        return PlainConvNet(weights)

    def layers(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield the convolutions and the dense layers."""
        size, inputs = self.size, self.channels
        for width in self.features:
            yield size**2, 9, inputs, width
            size, inputs = size // 2, width
        for pair in itertools.pairwise((size**2 * inputs, *self.hidden, 10)):
            yield 1, 1, *pair


@dataclass(frozen=True)
class ResNet20(Workload):
    """ResNet-20 with batch normalization and parameter-free shortcuts (He et al. 2016)."""

    def model(self, rngs: nnx.Rngs, dtype: Any = None) -> nnx.Module:
        """Return `models.ResNet`."""
        return models.ResNet(self.input_shape, 10, dtype=dtype, rngs=rngs)

    def plain_model(self, weights: Weights) -> nnx.Module:
        """Return the same network of Flax's layers."""
        return PlainResNet(weights)

    def layers(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield the convolutions and the dense layer."""
        yield self.size**2, 9, self.channels, 16
        inputs = 16
        for stage, width in enumerate((16, 32, 64)):
            positions = (self.size // 2**stage) ** 2
            for _ in range(3):
                yield positions, 9, inputs, width
                yield positions, 9, width, width
                inputs = width
        yield 1, 1, 64, 10


CONV_NETS = (
    ConvNet("digits CNN", 8, 1, 64, 16, features=(16, 32), hidden=(64,)),
    ConvNet("28x28 CNN", 28, 4, 128, 4, features=(32, 64), hidden=(128,)),
)
WORKLOADS: tuple[Workload, ...] = (
    *CONV_NETS,
    ResNet20("ResNet-20", 32, 4, 128, 2, channels=3, examples=640),
)
