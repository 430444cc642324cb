"""Which parts should a convolutional network be made of, and why does one not train?

The parts can be used on their own (`jcnn.pooling.l2_pool`, `jcnn.layers.Conv`,
`jcnn.models.lenet`); `jcnn.Study` compares them, and `jcnn.diagnose` examines one network.
Submodules are imported when first used, so `import jcnn` is fast.
"""

import importlib

from jcnn.version import __version__ as __version__

TYPE_CHECKING = False  # importing typing takes longer than everything else here
if TYPE_CHECKING:
    from jcnn import acceleration as acceleration
    from jcnn import activations as activations
    from jcnn import adapters as adapters
    from jcnn import analysis as analysis
    from jcnn import bench as bench
    from jcnn import convolution as convolution
    from jcnn import data as data
    from jcnn import dense as dense
    from jcnn import diagnosis as diagnosis
    from jcnn import engine as engine
    from jcnn import explore as explore
    from jcnn import initializers as initializers
    from jcnn import layers as layers
    from jcnn import losses as losses
    from jcnn import models as models
    from jcnn import normalization as normalization
    from jcnn import pooling as pooling
    from jcnn import report as report
    from jcnn import study as study
    from jcnn import testing as testing
    from jcnn import theory as theory
    from jcnn import tracing as tracing
    from jcnn import training as training
    from jcnn.acceleration import accelerate as accelerate
    from jcnn.adapters import adapt as adapt
    from jcnn.diagnosis import diagnose as diagnose
    from jcnn.diagnosis import find_learning_rate as find_learning_rate
    from jcnn.diagnosis import summarize as summarize
    from jcnn.diagnosis import watch as watch
    from jcnn.study import Result as Result
    from jcnn.study import Study as Study

_SUBMODULES = (
    "acceleration",
    "activations",
    "adapters",
    "analysis",
    "bench",
    "convolution",
    "data",
    "dense",
    "diagnosis",
    "engine",
    "explore",
    "initializers",
    "layers",
    "losses",
    "models",
    "normalization",
    "pooling",
    "report",
    "study",
    "testing",
    "theory",
    "tracing",
    "training",
)


# Functions and classes of submodules that are also here.
_SHORTCUTS = {
    "Result": "study",
    "Study": "study",
    "accelerate": "acceleration",
    "adapt": "adapters",
    "diagnose": "diagnosis",
    "find_learning_rate": "diagnosis",
    "summarize": "diagnosis",
    "watch": "diagnosis",
}


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        return importlib.import_module(f"jcnn.{name}")
    if name in _SHORTCUTS:
        return getattr(importlib.import_module(f"jcnn.{_SHORTCUTS[name]}"), name)
    raise AttributeError(f"module 'jcnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *_SHORTCUTS})
