"""Arguments that networks take in addition to their inputs: a training flag, and random keys."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

# Flags that are true in training, and those that are false then.
_TRAIN = ("train", "training", "is_training")
_EVALUATE = ("deterministic", "inference", "use_running_average")
# A key is drawn for each call.
_KEYS = ("key", "rng")


def extra_arguments(function: Callable[..., Any], *, always: bool = False) -> list[str]:
    """Return the names of the flags and keys that are to be passed to `function`.

    These are flags that it requires or whose default is true or false, `rngs`, and keys that it
    requires. A flag whose default is None is left to the module's own mode. With `always`, defaults
    do not matter.

    >>> extra_arguments(lambda x, train=False, rngs=None, key=None, deterministic=None: x)
    ['train', 'rngs']
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function of C has no signature
        return []
    found = []
    for name, parameter in parameters.items():
        required = always or parameter.default is parameter.empty
        flag = name in (*_TRAIN, *_EVALUATE) and (required or isinstance(parameter.default, bool))
        if flag or name == "rngs" or (name in _KEYS and required):
            found.append(name)
    return found


def second_argument(function: Callable[..., Any]) -> str:
    """Return the name of a function's second argument; empty if it has none.

    >>> second_argument(lambda params, rng, x: x)
    'rng'
    """
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ""
    return names[1] if len(names) > 1 else ""


def draws(names: list[str]) -> bool:
    """Return whether any of these arguments is random.

    >>> draws(["train"]), draws(["train", "rngs"])
    (False, True)
    """
    return any(name == "rngs" or name in _KEYS for name in names)


def extra_values(names: list[str], *, train: bool, rngs: Any) -> Mapping[str, Any]:
    """Return the values of the arguments; `rngs` is an `nnx.Rngs`.

    >>> extra_values(["deterministic"], train=True, rngs=None)
    {'deterministic': False}
    """
    values: dict[str, Any] = {}
    for name in names:
        if name in _TRAIN:
            values[name] = train
        elif name in _EVALUATE:
            values[name] = not train
        else:
            values[name] = rngs if name == "rngs" else rngs()
    return values
