"""Studies: factors, the plan, the runs, and what they say."""

from jcnn.analysis.result import Result as Result
from jcnn.analysis.result import Row as Row
from jcnn.analysis.result import RunRecord as RunRecord
from jcnn.study.factors import Combination as Combination
from jcnn.study.inspect_model import Portrait as Portrait
from jcnn.study.look import Look as Look
from jcnn.study.look import look_into as look_into
from jcnn.study.progress import Progress as Progress
from jcnn.study.retrain import train_one as train_one
from jcnn.study.retrain import train_seeds as train_seeds
from jcnn.study.study import Study as Study
