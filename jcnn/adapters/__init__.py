"""Networks of other kinds as modules of Flax NNX: their arguments, outputs and parameters."""

from jcnn.adapters.adapt import adapt as adapt
from jcnn.adapters.called import Called as Called
from jcnn.adapters.function import FunctionModule as FunctionModule
from jcnn.adapters.initialize import initialize as initialize
from jcnn.adapters.library_modules import is_built as is_built
from jcnn.adapters.library_modules import is_network as is_network
from jcnn.adapters.network_and_batch import network_and_batch as network_and_batch
from jcnn.public import public_names


def __dir__() -> list[str]:
    return public_names(globals())
