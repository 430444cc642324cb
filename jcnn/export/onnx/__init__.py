"""Networks as ONNX graphs: how each JAX primitive of an evaluation is written."""

from jcnn.export.onnx.model import to_onnx as to_onnx
