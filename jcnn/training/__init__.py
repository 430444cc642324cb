"""One training run as pure functions: task, optimizer, schedule, state, step and evaluation."""

from jcnn.public import public_names
from jcnn.training import metrics as metrics
from jcnn.training import optimizers as optimizers
from jcnn.training import schedules as schedules
from jcnn.training.metrics import TaskMetric as TaskMetric
from jcnn.training.model import split_model as split_model
from jcnn.training.predict import predict as predict
from jcnn.training.run import Recipe as Recipe
from jcnn.training.run import advance as advance
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
from jcnn.training.task import with_own as with_own
from jcnn.training.watch import Watch as Watch


def __dir__() -> list[str]:
    return public_names(globals(), "metrics", "optimizers", "schedules")
