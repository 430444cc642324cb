"""Names of values, as the command line and study files use them.

Each table maps a name to the place of its value, `module:attribute`; a place that ends in `()` is
called without arguments. Places are strings, imported only when a name is looked up, so listing
names imports nothing. In addition to the names in its table, every kind accepts
`mymodule:attribute`, and some accept a number: `normal:0.01`. Augmentations are chained with a
plus: `shift:2+flip`.
"""

import functools
import importlib
import math
import os
import sys
from typing import Any

from jcnn.errors import UsageError, nearest


def _all_from(module: str, names: str, *, call: bool = False) -> dict[str, str]:
    return {name: f"{module}:{name}{'()' if call else ''}" for name in names.split()}


TABLES: dict[str, dict[str, str]] = {
    "activation": _all_from(
        "jcnn.activations",
        "sigmoid tanh scaled_tanh relu leaky_relu prelu elu selu celu gelu silu mish softplus "
        "softsign hard_tanh hard_sigmoid hard_silu log_sigmoid relu6 identity",
    )
    | {"learned_prelu": "jcnn.layers:learned_prelu"},
    "kernel_init": _all_from(
        "jcnn.initializers",
        "glorot_normal glorot_uniform glorot_untruncated_normal xavier_normal xavier_uniform "
        "he_normal he_uniform he_untruncated_normal kaiming_normal kaiming_uniform lecun_normal "
        "lecun_uniform lecun_untruncated_normal standard_uniform dirac orthogonal "
        "delta_orthogonal normal",
        call=True,
    )
    | {"zeros": "jcnn.initializers:zeros", "lsuv": "jcnn.initializers:lsuv_orthogonal()"},
    "normalization": {"none": "jcnn.names:NONE"}
    | {name: f"jcnn.layers:{name}_norm" for name in ("batch", "layer", "group", "instance", "rms")},
    "pooling": {
        name: f"jcnn.pooling:{name}_pool"
        for name in ("max", "avg", "l2", "weighted_avg", "mixed", "soft", "gem", "stochastic")
    }
    | {
        f"learned_{name}": f"jcnn.layers:learned_{name}_pool"
        for name in ("weighted_avg", "mixed", "gem")
    },
    "optimizer": _all_from(
        "jcnn.training.optimizers", "sgd momentum nesterov adagrad rmsprop adam adamw lion muon"
    ),
    "metrics": _all_from("jcnn.training.metrics", "f1 balanced_accuracy top5"),
    "augmentation": {"none": "jcnn.names:NONE", "flip": "jcnn.data.augmentation:random_flip"},
    "dtype": {name: f"jax.numpy:{name}" for name in ("float32", "bfloat16", "float16")},
    "schedule": {name: f"jcnn.names:{name.upper()}" for name in ("constant", "cosine", "linear")},
    "model": {
        "lenet": "jcnn.models:lenet",
        "mlp": "jcnn.models:mlp",
        "plain": "jcnn.models:plain_cnn",
        "vgg": "jcnn.models:vgg",
        "resnet": "jcnn.models:ResNet",
    },
}

# `name:number` is this function with the number as this keyword argument. If the keyword is empty,
# it is the result of calling the function with the number.
PARAMETRIC: dict[str, dict[str, tuple[str, str]]] = {
    "activation": {
        "leaky_relu": ("jcnn.activations:leaky_relu", "negative_slope"),
        "elu": ("jcnn.activations:elu", "alpha"),
        "celu": ("jcnn.activations:celu", "alpha"),
    },
    "kernel_init": {
        name: (f"jcnn.initializers:{name}", "")
        for name in ("normal", "constant", "orthogonal", "delta_orthogonal")
    },
    "pooling": {
        "lp": ("jcnn.pooling:lp_pool", "p"),
        "gem": ("jcnn.pooling:gem_pool", "p"),
        "mixed": ("jcnn.pooling:mixed_pool", "alpha"),
    },
    "augmentation": {
        "shift": ("jcnn.data.augmentation:random_shift", "max_shift"),
        "cutout": ("jcnn.data.augmentation:cutout", "size"),
        "mixup": ("jcnn.data.augmentation:mixup", ""),
        "cutmix": ("jcnn.data.augmentation:cutmix", ""),
        "randaugment": ("jcnn.data.random_augment:rand_augment", "magnitude"),
    },
}

NONE = None
_GREATEST = 3.4e38  # of float32
CONSTANT, COSINE, LINEAR = "constant", "cosine", "linear"


def lookup(kind: str, name: str) -> Any:
    """Return the value of a name of this kind.

    Raises UsageError if the name is unknown, cannot be imported, or has no valid number.

    >>> lookup("activation", "tanh").__name__
    'tanh'
    """
    table = TABLES.get(kind, {})
    if name in table:
        return _resolve(table[name])
    if kind == "augmentation" and "+" in name:
        return _chained(name)
    head, _, tail = name.partition(":")
    if tail and head in PARAMETRIC.get(kind, {}):
        return _with_number(kind, head, tail)
    if tail:
        return _imported(kind, name, head, tail)
    numbered = [f"{prefix}:NUMBER" for prefix in PARAMETRIC.get(kind, {})]
    raise nearest(kind, name, [*table, *numbered])


def is_own(kind: str, name: str) -> bool:
    """Return whether `name` is one of jcnn's own names of this kind, not `module:attribute`.

    >>> is_own("activation", "elu:0.5"), is_own("activation", "mymodule:elu")
    (True, False)
    """
    if kind == "augmentation" and "+" in name:
        return all(is_own(kind, part) for part in name.split("+"))
    head, colon, _ = name.partition(":")
    return name in TABLES.get(kind, {}) or (bool(colon) and head in PARAMETRIC.get(kind, {}))


def name_of(kind: str, value: Any) -> str:
    """Return the name of a value: the table's, or `module:qualname` of a callable, or its text.

    >>> from jcnn import initializers
    >>> name_of("kernel_init", initializers.orthogonal(1.4))
    'orthogonal:1.4'
    """
    if isinstance(value, (str, int, float)):
        return str(value)
    if kind.endswith("_init"):
        from jcnn.initializers import DataDriven, NamedInitializer

        if isinstance(value, (DataDriven, NamedInitializer)):
            return value.name
    for name, place in TABLES.get(kind, {}).items():
        if not place.endswith("()") and _resolve(place) is value:
            return name
    if isinstance(value, functools.partial):
        keywords = (f"{name}={name_of('', item)}" for name, item in value.keywords.items())
        arguments = (*(name_of("", item) for item in value.args), *keywords)
        return f"{name_of(kind, value.func)}({', '.join(arguments)})"
    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if module and qualname:
        return f"{_public(module, qualname, value)}:{qualname}"
    text = repr(value)
    # The text of a built network has a line per layer.
    return text if "\n" not in text else f"a built {type(value).__qualname__}"


def _public(module: str, qualname: str, value: Any) -> str:
    """Return the first of a module's parents that has the value under the same name, or itself."""
    parts = module.split(".")
    for count in range(1, len(parts)):
        parent = ".".join(parts[:count])
        if getattr(sys.modules.get(parent), qualname, None) is value:
            return parent
    return module


def _resolve(place: str) -> Any:
    module, _, attribute = place.removesuffix("()").partition(":")
    value = getattr(importlib.import_module(module), attribute)
    return value() if place.endswith("()") else value


def _chained(name: str) -> Any:
    parts = [lookup("augmentation", part) for part in name.split("+")]
    if NONE in parts:
        raise UsageError(f"augmentation {name}: none cannot be joined with others; leave it out")
    return _resolve("jcnn.data.augmentation:chain")(*parts)


def _with_number(kind: str, head: str, tail: str) -> Any:
    whole = kind == "augmentation" and head not in ("mixup", "cutmix")
    if whole and not (tail.isascii() and tail.isdecimal()):
        unit = "" if head == "randaugment" else " of pixels"
        raise UsageError(
            f"{kind} {head}:{tail}: expected a whole number{unit} after the colon, such as {head}:2"
        )
    try:
        number = int(tail) if tail.isdecimal() else float(tail)
    except ValueError:
        number = math.nan
    if not abs(number) <= _GREATEST:
        raise UsageError(f"{kind} {head}:{tail}: expected a number after the colon, up to 3.4e38")
    place, keyword = PARAMETRIC[kind][head]
    function = _resolve(place)
    return functools.partial(function, **{keyword: number}) if keyword else function(number)


def _imported(kind: str, name: str, module: str, attribute: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        value = importlib.import_module(module)
        for part in attribute.split("."):
            value = getattr(value, part)
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{kind} {name!r} could not be imported: {type(error).__name__}: {reason}; expected "
            "module:attribute, with the module installed or in this directory"
        ) from error
    return value
