"""What is known of a network before any batch: its layers, normalizations and random keys."""

import math

import jax
from flax import nnx

from jcnn.diagnosis.dead_units import usual_saturation
from jcnn.diagnosis.layer_report import LayerInfo
from jcnn.diagnosis.measure import Probe
from jcnn.tracing import gradient_paths, layer_graph


def normalizations_of(model: nnx.Module) -> list[str]:
    """Return the kinds of normalization in a model, such as "batch"."""
    kinds = {
        nnx.BatchNorm: "batch",
        nnx.LayerNorm: "layer",
        nnx.GroupNorm: "group",
        nnx.InstanceNorm: "instance",
        nnx.RMSNorm: "rms",
    }
    return sorted(
        {name for _, node in nnx.iter_graph(model) for kind, name in kinds.items()
         if isinstance(node, kind)}
    )  # fmt: skip


def random_counters(model: nnx.Module) -> list[int]:
    """Return the indices of the leaves that count a model's random draws."""
    variables = jax.tree.leaves(
        nnx.state(model), is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)
    )
    return [i for i, variable in enumerate(variables) if isinstance(variable, nnx.RngCount)]


def layer_infos(probe: Probe) -> list[LayerInfo]:
    """Return what is known of a traced model's layers before any batch."""
    traced = probe.traced
    graph, gradients = layer_graph(traced), gradient_paths(traced)
    infos = []
    for i, (layer, facts) in enumerate(zip(traced.layers, probe.facts, strict=True)):
        activation = layer.activation
        cut_off = "" if layer.output in gradients.reach else "cut off"
        if layer.output not in gradients.used:
            cut_off = "unused"
        elif cut_off and layer.output not in gradients.cut_off:
            cut_off = ""  # no derivative: a fault
        infos.append(
            LayerInfo(
                name=layer.name,
                kind=layer.kind,
                activation=activation.name() if activation else None,
                shape=tuple(traced.program.avals[layer.output].shape[1:]),
                units=traced.program.avals[layer.weighted].shape[layer.features],
                fan_in=layer.fan_in
                or max(
                    math.prod(traced.leaves[index].shape[len(layer.part) : -1])
                    for index in layer.kernels
                ),
                trained=set(layer.kernels) <= set(layer.params),
                reads=tuple(graph.reads[i]),
                is_end=graph.ends[i],
                cut_off=cut_off,
                usually_saturated=usual_saturation(activation, facts) if activation else 0.0,
            )
        )
    return infos
