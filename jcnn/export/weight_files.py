"""A trained network's weights as files: safetensors, and an Orbax checkpoint."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from jcnn.errors import UsageError
from jcnn.export.network import Network, texts


def to_safetensors(network: Network) -> bytes:
    """Return the bytes of a safetensors file: the weights by name, and `about` as its metadata.

    Values of the metadata that are no strings are JSON. Raises UsageError without `safetensors`.
    """
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise UsageError(
            "a .safetensors file needs safetensors: pip install 'jcnn[export]'"
        ) from error
    arrays = {name: np.array(value, order="C") for name, value in network.weights().items()}
    content: bytes = save(arrays, metadata=texts(network.about()))
    return content


def save_orbax(network: Network, path: Path) -> None:
    """Write an Orbax checkpoint: `{"weights": nested dicts, "normalization": {"mean", "std"}}`.

    `about` is in `about.json` in the same folder.
    """
    import orbax.checkpoint as ocp

    nested: dict[str, Any] = {}
    for name, value in network.weights().items():
        *folders, last = name.split(".")
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    normalization = {"mean": np.asarray(network.mean), "std": np.asarray(network.std)}
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path.absolute(), {"weights": nested, "normalization": normalization})
    (path / "about.json").write_text(json.dumps(network.about(), indent=1), encoding="utf-8")
