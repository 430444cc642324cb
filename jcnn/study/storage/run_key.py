"""The key of a run in the ledger: a hash of everything that determines the run.

The key covers the data, the model with all its arguments, the recipe, the seed, and the versions
and settings on which the numbers depend. Parts of jcnn are identified by name, because the sources
of jcnn's numeric packages are hashed too; a user's own object is identified by the text of the
program that is compiled with it.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jcnn import names
from jcnn.data import Dataset
from jcnn.study.factors import (
    DEFAULTS,
    LEARNING_RATE,
    OUTPUTS,
    Combination,
    is_data_driven,
    model_defaults,
)
from jcnn.study.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
# The modules and packages of jcnn on which every run's numbers depend.
NUMERIC = (
    "acceleration",
    "activations",
    "adapters",
    "arguments",
    "convolution",
    "data",
    "dense",
    "engine",
    "initializers",
    "jaxprs",
    "layers",
    "losses",
    "models",
    "names",
    "normalization",
    "pooling",
    "quadrature",
    "training",
    "varying_axes",
)
# Those on which they depend if layers are measured during training, or a model is fitted to data.
FITTED = ("diagnosis", "tracing")
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")  # NumPy shuffles
_SETTINGS = (
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_enable_x64",
    "jax_threefry_partitionable",
)
# A study's settings that change numbers; its factors and their defaults are handled separately.
_STUDY = (
    "epochs",
    "validation_fraction",
    "warmup_steps",
    "gradient_clip",
    "ema_decay",
    "accumulation_steps",
    "patience",
    "label_smoothing",
    "dtype",
)
# Arguments of a model that are not factors.
_CONTEXT = ("input_shape", "outputs", *OUTPUTS, "rngs", "key", "dtype")


def of_combination(
    plan: Plan, member: Combination, dataset: Dataset, program_text: Callable[[], str]
) -> str:
    """A hash of what determines a combination's runs, except for learning rate and seed.

    Every argument of the model counts, whether a factor sets it or it has its default value, so
    adding a factor to a study does not change the keys of the runs that have the default.
    """
    values: dict[str, tuple[Any, Any]] = {
        **{
            name: (value, None)
            for name, value in model_defaults(plan.build_model).items()
            if name not in _CONTEXT
        },
        **{name: (value, None) for name, value in DEFAULTS.items()},
        "model": (plan.build_model, plan.model),
        "augmentation": (plan.augment, plan.augmentation),
        "batch_size": (plan.batch_size, None),
        **{
            name: (value, getattr(plan, name))
            for name, value in (
                ("call", plan.call_model),
                ("output", plan.select_output),
                ("loss", plan.own_loss),
                ("warm_start", plan.first_weights),
            )
            if value is not None
        },
        **{f"metric {name}": (value, None) for name, value in plan.own_metrics.items()},
        **{
            factor: (level.value, level.name if level.looked_up else None)
            for factor, level in member.levels
            if factor != LEARNING_RATE  # every key has the run's rate
        },
    }
    identified = {
        name: of_value(name, value, alias if isinstance(alias, str) else None)
        for name, (value, alias) in values.items()
    }
    content = {
        "data": dataset.digest(),
        "task": plan.task or dataset.task,
        "numerics": of_numerics(),
        "values": {name: identity for name, (identity, _) in identified.items()},
        **{name: getattr(plan, name) for name in _STUDY},
    }
    if plan.patience is not None:
        content["metric"] = plan.metric  # decides which epoch is the best one
    if plan.diagnose is not None:
        content["diagnose"] = [plan.diagnose, of_sources(FITTED)]
    if is_data_driven(plan.build_model, member):
        content["fitted"] = of_sources(FITTED)
    if not all(complete for _, complete in identified.values()):
        content["program"] = program_text()
    return digest(content)


@functools.lru_cache(maxsize=1 << 16, typed=True)
def of_run(combination: str, learning_rate: float, seed: int) -> str:
    """The key of a run of the combination with this key; a study asks for it at every look."""
    return digest([combination, learning_rate, seed])


def of_weights(weights: Mapping[str, np.ndarray]) -> str:
    """The digest of a network's weights by name."""
    hashed = [[name, hashlib.sha256(a.tobytes()).hexdigest()] for name, a in weights.items()]
    return digest(hashed)


def digest(content: Any) -> str:
    """The SHA-256 of a value that JSON can represent."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def of_numerics() -> dict[str, Any]:
    """The versions and settings on which the numbers depend, and the kind of device."""
    return {
        "jcnn": of_sources(NUMERIC),
        **{package: metadata.version(package) for package in _PACKAGES},
        **{name: str(getattr(jax.config, name, None)) for name in _SETTINGS},
        "platform": jax.default_backend(),
    }


def of_value(kind: str, value: Any, alias: str | None = None) -> tuple[Any, bool]:
    """The identity of a value in a key, and whether it identifies the value completely.

    `alias` is the name under which the value was looked up, if it was. Two names of the same value
    have one identity.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return [type(value).__name__, value], True
    if isinstance(value, (tuple, list)):
        parts = [of_value(kind, part) for part in value]
        return [identity for identity, _ in parts], all(complete for _, complete in parts)
    canonical = names.name_of(kind, value)
    for name in (canonical, alias or canonical):
        if names.is_own(kind, name):
            return name, True
    # The program's text distinguishes it; its name may hold an address, which differs per process.
    return "own", False


def of_sources(packages: Sequence[str], root: Path = ROOT) -> str:
    """A hash of the sources of these modules and packages of jcnn, which lies at `root`."""
    result = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if place.parts[0].removesuffix(".py") in packages:
            result.update(f"{place.as_posix()} ".encode())
            result.update(path.read_bytes())
    return result.hexdigest()
