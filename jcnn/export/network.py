"""What a file of a network is written from."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jax import Array


@runtime_checkable
class Network(Protocol):
    """The part of `TrainedModel` that its files need."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""

    @property
    def input_dtype(self) -> Any:
        """The dtype of raw inputs."""

    @property
    def mean(self) -> np.ndarray:
        """The mean of each channel."""

    @property
    def std(self) -> np.ndarray:
        """The standard deviation of each channel."""

    def weights(self) -> dict[str, np.ndarray]:
        """Return the arrays of the network by name."""

    def function(self) -> Callable[[Mapping[str, Any], Array], Array]:
        """Return the pure function `(weights, inputs) -> outputs` for raw inputs."""

    def about(self) -> dict[str, Any]:
        """Return what the files say about the network."""


def texts(about: Mapping[str, Any]) -> dict[str, str]:
    """Return what a file says about a network as strings; other values become JSON.

    >>> texts({"data": "digits", "input_shape": [8, 8, 1]})
    {'data': 'digits', 'input_shape': '[8, 8, 1]'}
    """
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in about.items()
    }
