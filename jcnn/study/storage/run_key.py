"""What determines a run, as one hash of its content: the key that the ledger keeps it under.

The key covers the data, the model with all its arguments, the recipe, the seed, and the versions
and settings on which the numbers depend. What is jcnn's own goes by its name, since jcnn's sources
are part of the key; anything of the user's own goes by what it computes: the text of its program.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

import jcnn
from jcnn import names
from jcnn.study.factors import DEFAULTS, Combination, is_data_driven, model_defaults

if TYPE_CHECKING:
    from jcnn.data import Dataset
    from jcnn.study.study import Study

# Parts of jcnn that change no run's numbers (diagnosis does where a model is fitted or followed).
_NO_NUMBERS = ("analysis", "bench", "cli", "diagnosis", "report", "study", "theory", "tracing")
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")  # shuffling is NumPy's
_SETTINGS = (
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_enable_x64",
    "jax_threefry_partitionable",
)
# A study's own settings that change numbers; its factors and defaults are spelled apart.
_STUDY = (
    "epochs",
    "validation_fraction",
    "warmup_steps",
    "gradient_clip",
    "label_smoothing",
    "dtype",
)
# Arguments that a model is given beside factors.
_GIVEN = ("input_shape", "outputs", "rngs", "dtype")


def of_combination(
    study: "Study", member: Combination, dataset: "Dataset", program_text: Callable[[], str]
) -> str:
    """A hash of what determines a combination's runs, beside their rate and seed.

    Every argument of the model counts, whether a factor gives it or the model's default does, so
    that a factor may be added to a study without its runs being other ones.
    """
    values: dict[str, tuple[Any, Any]] = {
        **{
            name: (value, None)
            for name, value in model_defaults(study.build_model).items()
            if name not in _GIVEN
        },
        **{name: (value, None) for name, value in DEFAULTS.items()},
        "model": (study.build_model, study.model),
        "augmentation": (study.augment, study.augmentation),
        "batch_size": (study.batch_size, None),
        **{
            factor: (level.value, level.name if level.looked_up else None)
            for factor, level in member.levels
        },
    }
    found = {
        name: of_value(name, value, under if isinstance(under, str) else None)
        for name, (value, under) in values.items()
    }
    whole = {
        "data": dataset.digest(),
        "task": study.task or dataset.task,
        "numerics": of_numerics(),
        "values": {name: spelled for name, (spelled, _) in found.items()},
        **{name: getattr(study, name) for name in _STUDY},
    }
    if study.diagnose is not None:
        whole["diagnose"] = [study.diagnose, _sources(("diagnosis", "tracing"))]
    if is_data_driven(study.build_model, member):
        whole["fitted"] = _sources(("diagnosis", "tracing"))
    if not all(known for _, known in found.values()):
        whole["program"] = program_text()
    return digest(whole)


def digest(content: Any) -> str:
    """The SHA-256 of something that JSON can spell."""
    spelled = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(spelled.encode()).hexdigest()


@functools.cache
def of_numerics() -> dict[str, Any]:
    """Versions and settings on which the numbers depend, and the kind of device."""
    return {
        "jcnn": _sources(),
        **{package: metadata.version(package) for package in _PACKAGES},
        **{name: str(getattr(jax.config, name, None)) for name in _SETTINGS},
        "platform": jax.default_backend(),
    }


def of_value(kind: str, value: Any, looked_up: str | None = None) -> tuple[Any, bool]:
    """What stands for a value in a key, and whether that says all there is to know of it.

    `looked_up` is the name under which it was found, if it was. Two names of one value are one.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return [type(value).__name__, value], True
    if isinstance(value, (tuple, list)):
        parts = [of_value(kind, part) for part in value]
        return [part for part, _ in parts], all(known for _, known in parts)
    found = names.name_of(kind, value)
    for name in (found, looked_up or found):
        if names.is_own(kind, name):
            return name, True
    # Its program tells it from others; a name may hold an address, which every process has anew.
    return "own", False


def _sources(packages: Sequence[str] | None = None) -> str:
    """A hash of the sources of these packages, by default of all on which numbers depend."""
    package = Path(jcnn.__file__).resolve().parent
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        part = place.parts[0]
        if part not in _NO_NUMBERS if packages is None else part in packages:
            found.update(f"{place.as_posix()} ".encode())
            found.update(path.read_bytes())
    return found.hexdigest()
