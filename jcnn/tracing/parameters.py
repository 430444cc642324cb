"""The arrays of a model's state: which are kernels, which are trained, and whose they are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jcnn.tracing.calls import Path

# Names of arrays that say no more than the layer's own name.
_KERNEL_NAMES = ("kernel", "embedding", "weight", "w")


class Parameters(NamedTuple):
    """Indices of a model's leaves, by the path of the module that holds them.

    `kernels` are arrays of two or more axes, `params` those that are trained (`nnx.Param`). `names`
    has the name of each leaf: its path, without a last part such as "kernel". Names do not show the
    beginning `hidden` of paths, by which a module wraps another. `by_path` says that arrays with
    the same parent in the tree are one layer, because there are no modules.
    """

    kernels: Mapping[Path, Sequence[int]]
    params: Mapping[Path, Sequence[int]]
    names: Sequence[str]
    hidden: Path = ()
    by_path: bool = False

    def label(self, path: Path) -> str:
        """Return the name of a module."""
        return _shown(path, self.hidden)


def find_parameters(model: nnx.Module, state: Any) -> Parameters:
    """Return the parameters of a model and its state, as `nnx.split` returns it.

    >>> model = nnx.Sequential(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), nnx.relu)
    >>> parameters = find_parameters(model, nnx.state(model))
    >>> parameters.kernels, parameters.params
    ({('layers', 0): [1]}, {('layers', 0): [0, 1]})
    """
    kernels: dict[Path, list[int]] = {}
    params: dict[Path, list[int]] = {}
    names: list[str] = []
    hidden = tuple(getattr(model, "hidden_path", ()))
    by_path = getattr(model, "layers_by_path", False)
    no_weights = (nnx.BatchStat, nnx.RngState)
    modules = [path for path, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)]
    flat, _ = jax.tree.flatten_with_path(state, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))
    for index, (keys, variable) in enumerate(flat):
        path = tuple(getattr(key, "key", getattr(key, "name", None)) for key in keys)
        named = path[:-1] if path[-1] in _KERNEL_NAMES else path
        names.append(_shown(named, hidden) or str(path[-1]))
        # Parameters in a list or mapping belong to the module that holds it.
        holder = path[:-1] if by_path else max(
            (m for m in modules if path[: len(m)] == m and _callable(model, m)), key=len
        )  # fmt: skip
        value = variable.get_value() if isinstance(variable, nnx.Variable) else variable
        floating = jnp.issubdtype(value.dtype, jnp.floating)
        if floating and value.ndim >= 2 and not isinstance(variable, no_weights):
            kernels.setdefault(holder, []).append(index)
        if floating and isinstance(variable, nnx.Param):
            params.setdefault(holder, []).append(index)
    return Parameters(kernels, params, names, hidden, by_path)


def _shown(path: Path, hidden: Path) -> str:
    shown = path[len(hidden) :] if path[: len(hidden)] == hidden else path
    return ".".join(map(str, shown))


def _callable(model: nnx.Module, path: Path) -> bool:
    """Whether the module at `path` can be called (an `nnx.List` or `nnx.Dict` cannot)."""
    node: Any = model
    for key in path:
        node = node[key] if isinstance(node, (nnx.List, nnx.Dict)) else getattr(node, key)
    return callable(node)
