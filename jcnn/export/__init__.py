"""Trained networks as files: safetensors, Orbax, StableHLO and ONNX.

The packages of the formats are an extra, `pip install 'jcnn[export]'`, imported when one is
written.
"""

from jcnn.export.formats import FORMATS as FORMATS
from jcnn.export.loading import load_weights as load_weights
from jcnn.export.onnx.model import to_onnx as to_onnx
from jcnn.export.stablehlo import to_stablehlo as to_stablehlo
from jcnn.export.trained import TrainedModel as TrainedModel
from jcnn.export.trained import set_weights as set_weights
from jcnn.export.trained import weights as weights
from jcnn.public import public_names


def __dir__() -> list[str]:
    return public_names(globals())
