"""A trained network as an ONNX file."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jcnn.errors import UsageError
from jcnn.export.network import Network, texts
from jcnn.export.onnx.dtypes import code_of
from jcnn.export.onnx.graph import OPSET, Graph
from jcnn.export.onnx.translate import translate
from jcnn.export.symbolic import batch_size, explained
from jcnn.version import __version__


def to_onnx(network: Network, batch: int | None = None) -> Any:
    """Return an `onnx.ModelProto` of `inputs -> outputs`, for raw inputs.

    Inputs are `(batch, *spatial, channels)` as the data set has them, uint8 or float32; they are
    normalized in the graph. Constants keep the names of the weights. bfloat16 becomes float32.

    Raises UsageError without the package `onnx`, and for an operation that has no translation.
    """
    try:
        from onnx import checker, helper
    except ImportError as error:
        raise UsageError("an .onnx file needs onnx: pip install 'jcnn[export]'") from error
    size = batch_size(batch)
    x = jax.ShapeDtypeStruct((size, *network.input_shape), network.input_dtype)
    weights = network.weights()
    apply, flat = network.function(), {name: jnp.asarray(value) for name, value in weights.items()}
    with explained(partial(apply, flat), x):
        closed = jax.make_jaxpr(apply)(flat, x)
    graph = Graph(size)
    known = [graph.known(value, name) for name, value in sorted(weights.items())]
    (output,) = translate(graph, closed, [*known, graph.start("inputs")])
    result = graph.tensor(output)
    graph.nodes.append(helper.make_node("Identity", [result], ["outputs"], name="outputs"))
    axes = [batch or "batch"]
    (aval,) = closed.out_avals
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "network",
            [_value("inputs", network.input_dtype, [*axes, *network.input_shape])],
            [_value("outputs", aval.dtype, [*axes, *aval.shape[1:]])],
            graph.initializers(),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="jcnn",
        producer_version=__version__,
        ir_version=8,
    )
    helper.set_model_props(model, texts(network.about()))
    checker.check_model(model, full_check=True)
    return model


def _value(name: str, dtype: Any, shape: list[Any]) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, code_of(dtype), shape)
