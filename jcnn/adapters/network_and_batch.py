"""The first arguments of `jcnn.diagnose` and `jcnn.watch`: a network, and a batch with labels."""

from collections.abc import Callable, Sequence
from typing import Any

from flax import nnx
from jax import Array

from jcnn.adapters.adapt import adapt
from jcnn.adapters.library_modules import is_network, is_stateful_pair


def network_and_batch(
    model: Any,
    batch: Sequence[Any],
    loss: Callable[..., Array] | None,
    call: Callable[..., Any] | None = None,
    output: Callable[[Any], Any] | str | int | None = None,
) -> tuple[nnx.Module, Any, Any, Callable[..., Array] | None]:
    """Return a network as a module, a batch, its labels and the loss, as `diagnose` takes them.

    Raises ValueError if arguments are missing or too many.

    >>> import jax.numpy as jnp
    >>> def network(params, x):
    ...     return x @ params["w"]
    >>> batch = {"w": jnp.ones((4, 2))}, jnp.ones((3, 4)), jnp.arange(3) % 2
    >>> module, x, labels, loss = network_and_batch(network, batch, None)
    >>> module(x).shape
    (3, 2)
    """
    params, rest = None, [*batch]
    if not (is_network(model) or is_stateful_pair(model)):
        if len(rest) < 3:
            raise ValueError(
                f"model is a {type(model).__name__}, which holds no parameters; expected (model, "
                "params, x, labels), or a module of NNX or Equinox"
            )
        params, *rest = rest
    if len(rest) not in (2, 3) or (len(rest) == 3 and loss is not None):
        raise ValueError(
            f"{len(rest)} arguments after the network; expected x, labels, and at most one loss"
        )
    x, labels, *given = rest
    if given and not callable(given[0]):
        raise ValueError(
            f"the argument after the labels is a {type(given[0]).__name__}; expected a loss, a "
            "function of outputs and labels; an optimizer is given by name, optimizer="
        )
    return adapt(model, params, call=call, output=output), x, labels, given[0] if given else loss
