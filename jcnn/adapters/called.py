"""A module that is called with further arguments, or of whose outputs one is used."""

from collections.abc import Callable, Mapping
from typing import Any

from flax import nnx

from jcnn.adapters.arguments import draws, extra_arguments, extra_values


class Called(nnx.Module):
    """A module whose call takes a batch alone, and returns one array.

    `call(model, x)` calls the module (by default, ``model(x)``). Of the flags and keys `train`,
    `training`, `is_training`, `deterministic`, `inference`, `rngs`, `key` and `rng`, it gets those
    that it names: the flags are those of the present mode (`Module.train()` and `eval()`), which is
    at first that of the module's parts. `output` selects one of several outputs: a function of
    them, or a key, an attribute or an index.

    >>> import jax.numpy as jnp
    >>> class Net(nnx.Module):
    ...     def __init__(self, rngs):
    ...         self.dense = nnx.Linear(4, 3, rngs=rngs)
    ...     def __call__(self, x, *, train):
    ...         return {"logits": self.dense(x), "trains": train}
    >>> model = Called(Net(nnx.Rngs(0)), output="logits")
    >>> model(jnp.ones((2, 4))).shape
    (2, 3)
    """

    # Where the module's own paths begin; names of layers do not show it.
    hidden_path = ("model",)

    def __init__(
        self,
        model: nnx.Module,
        call: Callable[..., Any] | None = None,
        output: Callable[[Any], Any] | str | int | None = None,
    ) -> None:
        self.model = model
        self.call, self.output = call, output
        self.extra = tuple(extra_arguments(call or model.__call__, always=call is not None))
        if draws([*self.extra]):
            self.rngs = nnx.Rngs(0)
        self.deterministic = any(
            getattr(part, flag, None) is True
            for _, part in nnx.iter_graph(model)
            for flag in ("deterministic", "use_running_average")
        )

    def __call__(self, *x: Any) -> Any:
        """Call the module on a batch."""
        rngs = getattr(self, "rngs", None)
        extra = extra_values([*self.extra], train=not self.deterministic, rngs=rngs)
        outputs = self.call(self.model, *x, **extra) if self.call else self.model(*x, **extra)
        return select(outputs, self.output)


def select(outputs: Any, output: Callable[[Any], Any] | str | int | None) -> Any:
    """Return the part of a network's outputs that `output` names.

    Raises ValueError if there is none.

    >>> select({"logits": 1, "features": 2}, "logits"), select((1, 2), 1)
    (1, 2)
    """
    if output is None:
        return outputs
    if callable(output):
        return output(outputs)
    if isinstance(output, int) or isinstance(outputs, Mapping):
        try:
            return outputs[output]
        except (KeyError, IndexError, TypeError):
            pass
    elif hasattr(outputs, output):
        return getattr(outputs, output)
    known = ""
    if isinstance(outputs, Mapping):
        known = f" with {', '.join(map(str, outputs))}"
    elif isinstance(outputs, (tuple, list)):
        known = f" of {len(outputs)}"
    raise ValueError(f"output={output!r}, but the model returns a {type(outputs).__name__}{known}")
