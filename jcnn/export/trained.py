"""A trained network with everything that its use needs: weights, normalization, classes."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.errors import UsageError
from jcnn.export.formats import write
from jcnn.training.predict import predict
from jcnn.training.state import Data, normalize


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network in evaluation mode, and how its inputs are normalized.

    Called with raw `inputs`, `(n, *spatial, channels)` as the data set has them, it returns the
    network's outputs, float32 `(n, outputs)` (for classes, logits). `classes` are the names of the
    classes, or None. `levels`, `learning_rate` and `seed` say how it was trained, and `test` has
    its metrics on the test set.

    >>> from jcnn import models
    >>> network = models.mlp((4,), 2, hidden=(8,), rngs=nnx.Rngs(0))
    >>> trained = TrainedModel(network, np.zeros(4, np.float32), np.ones(4, np.float32), (4,))
    >>> trained(np.ones((3, 4), np.float32)).shape, sorted(trained.weights())[0]
    ((3, 2), 'dense_hidden1.bias')
    """

    model: nnx.Module
    mean: np.ndarray
    std: np.ndarray
    input_shape: tuple[int, ...]
    input_dtype: Any = np.float32
    classes: Sequence[str] | None = None
    levels: Mapping[str, str] = field(default_factory=dict)
    learning_rate: float | None = None
    seed: int | None = None
    test: Mapping[str, float] = field(default_factory=dict)
    data: str = ""

    def __post_init__(self) -> None:
        """Keep a copy of the network in evaluation mode; raise UsageError for another dtype."""
        if np.dtype(self.input_dtype) not in (np.uint8, np.float32):
            raise UsageError(f"input_dtype={self.input_dtype}; expected uint8 or float32")
        model = nnx.clone(self.model)
        model.eval()
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "input_shape", tuple(self.input_shape))

    def __call__(self, inputs: Any, *, batch_size: int = 256) -> np.ndarray:
        """Return the outputs for raw inputs. Raises UsageError for inputs of another shape."""
        inputs = np.asarray(inputs)
        if inputs.shape[1:] != self.input_shape or not len(inputs):
            raise UsageError(
                f"inputs have shape {inputs.shape}; expected (n, "
                f"{', '.join(map(str, self.input_shape))}) with n of at least 1"
            )
        return predict(self.model, inputs, self._data, batch_size=batch_size)

    def classify(self, inputs: Any) -> list[str]:
        """Return the name of the most probable class of each raw input.

        Raises UsageError if the network was not trained on classes.
        """
        if self.classes is None:
            raise UsageError("this network predicts numbers; call it instead of classify")
        outputs = self(inputs)
        binary = outputs.shape[-1] == 1
        indices = (outputs[:, 0] > 0).astype(int) if binary else outputs.argmax(axis=-1)
        return [self.classes[index] for index in indices]

    def save(self, path: str | os.PathLike[str], *, batch: int | None = None) -> Path:
        """Write the network to a file; its ending says how.

        `.safetensors`: the weights. `.orbax`: the weights as an Orbax checkpoint (a folder).
        `.stablehlo`: the function with its weights, for `jax.export.deserialize`. `.onnx`: the
        function with its weights. The last two take raw inputs, any number of them at once unless
        `batch` fixes it.

        Raises UsageError for another ending, and if the package of the format is not installed.
        """
        return write(self, Path(path), batch)

    def weights(self) -> dict[str, np.ndarray]:
        """Return the arrays of the network by name; see `jcnn.export.weights`."""
        return weights(self.model)

    def function(self) -> Callable[[Mapping[str, Any], Array], Array]:
        """Return the pure function `(weights, inputs) -> outputs` for raw inputs."""
        graph, state = nnx.split(self.model)
        flat = nnx.to_flat_state(state)
        names, data = _names(self.model), self._data

        def apply(weights: Mapping[str, Any], inputs: Array) -> Array:
            leaves = [
                (
                    path,
                    variable.replace(jnp.asarray(weights[names[path]]))
                    if path in names
                    else variable,
                )
                for path, variable in flat
            ]
            model = nnx.merge(graph, nnx.from_flat_state(leaves, cls=type(state)), copy=True)
            outputs: Array = model(normalize(inputs, data))
            return outputs.astype(jnp.float32)

        return apply

    def about(self) -> dict[str, Any]:
        """Return what the files say about the network."""
        from jcnn.version import __version__

        about: dict[str, Any] = {
            "made_by": f"jcnn {__version__}",
            "data": self.data,
            "input_shape": list(self.input_shape),
            "input_dtype": np.dtype(self.input_dtype).name,
            "mean": np.asarray(self.mean).tolist(),
            "std": np.asarray(self.std).tolist(),
            "combination": dict(self.levels),
            "test": {name: float(value) for name, value in self.test.items()},
        }
        if self.classes is not None:
            about["classes"] = list(self.classes)
        if self.learning_rate is not None:
            about |= {"learning_rate": self.learning_rate, "seed": self.seed}
        return about

    @property
    def _data(self) -> Data:
        return Data(*[None] * 6, mean=jnp.asarray(self.mean), std=jnp.asarray(self.std))


def weights(model: nnx.Module) -> dict[str, np.ndarray]:
    """Return the arrays of a network by name: parameters, and statistics of normalizations.

    Keys of random numbers, which an evaluation does not use, are left out.

    >>> from jcnn import models
    >>> sorted(weights(models.mlp((4,), 2, hidden=(8,), rngs=nnx.Rngs(0))))[:2]
    ['dense_hidden1.bias', 'dense_hidden1.kernel']
    """
    return {name: np.asarray(value) for name, value in arrays(model).items()}


def set_weights(model: nnx.Module, weights: Mapping[str, Any], keep: Collection[str] = ()) -> None:
    """Replace the arrays of a network by name; those in `keep` stay.

    Raises UsageError if names or shapes differ.

    >>> from jcnn import models
    >>> network = models.mlp((4,), 2, hidden=(8,), rngs=nnx.Rngs(0))
    >>> set_weights(network, {name: 0 * value for name, value in arrays(network).items()})
    >>> float(abs(network(jnp.ones((1, 4)))).max())
    0.0
    """
    present = {name: value for name, value in arrays(model).items() if name not in keep}
    if wrong := sorted(present.keys() ^ weights.keys()):
        side = "the network has no" if wrong[0] in weights else "there is no"
        raise UsageError(f"{side} {wrong[0]}; expected {', '.join(sorted(present))}")
    names = {name: path for path, name in _names(model).items()}
    flat = dict(nnx.to_flat_state(nnx.state(model)))
    for name, value in weights.items():
        old = present[name]
        if np.shape(value) != old.shape:
            raise UsageError(f"{name} has shape {np.shape(value)}; expected {old.shape}")
        flat[names[name]] = flat[names[name]].replace(jnp.asarray(value, old.dtype))
    nnx.update(model, nnx.from_flat_state([*flat.items()]))


def arrays(model: nnx.Module) -> dict[str, Any]:
    """Return the arrays of a network by name, as they are: of JAX, or traced."""
    names = _names(model)
    return {
        names[path]: variable.get_value()
        for path, variable in nnx.to_flat_state(nnx.state(model))
        if path in names
    }


def _names(model: nnx.Module) -> dict[tuple[Any, ...], str]:
    """The names of a network's arrays by path; keys of random numbers have none."""
    hidden = tuple(getattr(model, "hidden_path", ())[:1])
    names = {}
    for path, variable in nnx.to_flat_state(nnx.state(model)):
        if isinstance(variable, nnx.RngState):
            continue
        shown = path[len(hidden) :] if path[: len(hidden)] == hidden else path
        names[path] = ".".join(map(str, shown))
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise UsageError(f"two weights are called {twice[0]}; rename one, without dots in its name")
    return names
