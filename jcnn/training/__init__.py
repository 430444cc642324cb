"""One training run as pure functions: task, optimizer, schedule, state, step and evaluation."""

from jcnn.training import optimizers as optimizers
from jcnn.training import schedules as schedules
from jcnn.training.predict import predict as predict
from jcnn.training.run import Recipe as Recipe
from jcnn.training.run import advance as advance
from jcnn.training.run import split_model as split_model
from jcnn.training.run import start as start
from jcnn.training.state import Data as Data
from jcnn.training.state import History as History
from jcnn.training.state import Hyperparameters as Hyperparameters
from jcnn.training.state import RunState as RunState
from jcnn.training.state import normalize as normalize
from jcnn.training.task import Task as Task
from jcnn.training.task import binary as binary
from jcnn.training.task import classification as classification
from jcnn.training.task import regression as regression
from jcnn.training.watch import Watch as Watch

_MODULES = ("optimizers", "schedules")


def __dir__() -> list[str]:
    """List the public names, without the modules that define them."""
    own = (name for name, value in globals().items() if _is_public(value))
    return sorted({*own, *_MODULES})


def _is_public(value: object) -> bool:
    return getattr(value, "__module__", "").startswith(f"{__name__}.")
