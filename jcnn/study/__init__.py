"""Studies: what is planned, and how it is run, stored, resumed and trained again."""

from jcnn.analysis.ranking import Row as Row
from jcnn.analysis.records import RunRecord as RunRecord
from jcnn.analysis.result import Result as Result
from jcnn.public import public_names
from jcnn.study.best_model import best_model as best_model
from jcnn.study.factors import Combination as Combination
from jcnn.study.inspect_model import ModelInspection as ModelInspection
from jcnn.study.inspect_model import inspect_model as inspect_model
from jcnn.study.plan import Plan as Plan
from jcnn.study.progress import Progress as Progress
from jcnn.study.retrain import train_one as train_one
from jcnn.study.retrain import train_seeds as train_seeds
from jcnn.study.study import Study as Study


def __dir__() -> list[str]:
    return public_names(globals(), "storage")
