"""A trained network as a serialized StableHLO program, which JAX reloads without jcnn."""

from functools import partial

import jax
from jax import export

from jcnn.errors import UsageError
from jcnn.export.network import Network
from jcnn.export.symbolic import batch_size, explained

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(network: Network, batch: int | None = None) -> bytes:
    """Return the program `inputs -> outputs` for raw inputs, with the weights inside.

    It runs on the `PLATFORMS`, and on any number of inputs unless `batch` is given. To run it:
    ``jax.export.deserialize(bytearray(content)).call(inputs)``.

    Raises UsageError without the package `flatbuffers`.
    """
    apply, weights = network.function(), network.weights()
    x = jax.ShapeDtypeStruct((batch_size(batch), *network.input_shape), network.input_dtype)
    function = partial(apply, weights)
    with explained(function, x):
        program = export.export(jax.jit(function), platforms=PLATFORMS)(x)
    try:
        return bytes(program.serialize())
    except ImportError as error:
        raise UsageError(
            "a .stablehlo file needs flatbuffers: pip install 'jcnn[export]'"
        ) from error
