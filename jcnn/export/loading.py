"""Weights from files and from PyTorch, for a network that starts from them."""

import fnmatch
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from jcnn.errors import UsageError
from jcnn.export.trained import arrays, set_weights

ENDINGS = (".safetensors", ".orbax", ".npz")
"""The endings of files that `load_weights` reads."""

# Axes of PyTorch's kernels, by their number, in the order of Flax: (*window, in, out).
_FROM_TORCH = {2: (1, 0), 3: (2, 1, 0), 4: (2, 3, 1, 0), 5: (2, 3, 4, 1, 0)}
_TORCH_NAMES = {"running_mean": "mean", "running_var": "var"}


def load_weights(
    model: nnx.Module,
    source: Any,
    *,
    names: Mapping[str, str] | None = None,
    skip: Sequence[str] = (),
) -> nnx.Module:
    """Set the weights of a network by name, and return it.

    `source` is a file that `TrainedModel.save` wrote (`.safetensors`, `.orbax`) or one of a study
    (`best_model.npz`), or a mapping of names to arrays. `names` maps names of the source to names
    of the network (`jcnn.export.weights(model)` lists them); names that are not in it stay as they
    are.
    Weights of the network that match a pattern of `skip` ("output.*") keep their values.

    Tensors of PyTorch, as in a `state_dict`, become arrays of Flax: kernels `(out, in, *window)`
    become `(*window, in, out)`, and without `names`, `weight` becomes `kernel` or `scale`, and
    `running_mean` and `running_var` become `mean` and `var`. The first dense layer after a flatten
    expects its features in the order of PyTorch, channels first, which no transposition can fix.

    Raises UsageError if a weight is missing, has another shape, or belongs nowhere.

    >>> from jcnn import models
    >>> from jcnn.export import weights
    >>> first, second = (models.mlp((4,), 2, hidden=(8,), rngs=nnx.Rngs(i)) for i in range(2))
    >>> load_weights(second, weights(first), skip=["output.*"]) is second
    True
    >>> name = "dense_hidden1.kernel"
    >>> bool((weights(first)[name] == weights(second)[name]).all())
    True
    """
    if not isinstance(source, (str, os.PathLike, Mapping)):
        raise UsageError(
            f"weights from a {type(source).__name__}; expected a file, or a mapping of names to "
            "arrays, such as TrainedModel.weights()"
        )
    found = dict(source) if isinstance(source, Mapping) else _read(Path(source))
    if unknown := sorted({*(names or {})} - {*found}):
        raise UsageError(
            f"names: there is no weight called {unknown[0]}; known: {', '.join(found)}"
        )
    skip = [skip] if isinstance(skip, str) else skip
    renamed: dict[str, Any] = {}
    for name, value in found.items():
        if name.endswith("num_batches_tracked"):
            continue
        is_tensor = type(value).__module__.partition(".")[0] == "torch"
        own = (names or {}).get(name)
        if own is None:
            own = _flax_name(name, value) if is_tensor else name
        array = np.asarray(value.detach().cpu().float() if is_tensor else value)
        if is_tensor and own.rpartition(".")[2] == "kernel" and array.ndim in _FROM_TORCH:
            array = array.transpose(_FROM_TORCH[array.ndim])
        if own in renamed:
            raise UsageError(f"two weights are called {own}; give one of them another name")
        renamed[own] = array

    present = [*arrays(model)]
    kept = {name for pattern in skip for name in fnmatch.filter(present, pattern)}
    unused = [pattern for pattern in skip if not fnmatch.filter(present, pattern)]
    if unused:
        raise UsageError(f"skip: no weight is called {unused[0]}; known: {', '.join(present)}")
    chosen = {name: value for name, value in renamed.items() if name not in kept}
    set_weights(model, chosen, kept)
    return model


def _read(path: Path) -> dict[str, Any]:
    if path.suffix not in ENDINGS:
        raise UsageError(f"{path}: expected a file of weights, {', '.join(ENDINGS)}")
    if not path.exists():
        raise UsageError(f"{path}: there is no such file of weights")
    try:
        if path.suffix == ".npz":
            with np.load(path) as file:
                return {name: file[name] for name in file.files if " " not in name}
        if path.suffix == ".orbax":
            import orbax.checkpoint as ocp

            with ocp.StandardCheckpointer() as checkpointer:
                return _flat(checkpointer.restore(path.absolute())["weights"])
        from safetensors.numpy import load_file

        return dict(load_file(path))
    except ImportError as error:
        raise UsageError(f"{path}: needs {error.name}: pip install 'jcnn[export]'") from error
    except Exception as error:  # of whatever the readers raise
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{path}: cannot be read: {reason}") from error


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        is_folder = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{name}.") if is_folder else {f"{prefix}{name}": value}
    return flat


def _flax_name(name: str, value: Any) -> str:
    *path, last = name.split(".")
    if last == "weight":
        last = "kernel" if value.ndim > 1 else "scale"
    return ".".join([*path, _TORCH_NAMES.get(last, last)])
