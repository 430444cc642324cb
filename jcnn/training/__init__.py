"""One run as pure functions: tasks, optimizers, schedules, state, step and evaluation."""

from jcnn.training import optimizers as optimizers
from jcnn.training import schedules as schedules
from jcnn.training.predict import predict as predict
from jcnn.training.run import Data as Data
from jcnn.training.run import History as History
from jcnn.training.run import Hyperparameters as Hyperparameters
from jcnn.training.run import Recipe as Recipe
from jcnn.training.run import RunState as RunState
from jcnn.training.run import advance as advance
from jcnn.training.run import normalize as normalize
from jcnn.training.run import split_model as split_model
from jcnn.training.run import start as start
from jcnn.training.task import Task as Task
from jcnn.training.task import binary as binary
from jcnn.training.task import classification as classification
from jcnn.training.task import regression as regression
from jcnn.training.watch import Watch as Watch
