"""Studies: factors, the plan, the runs, and what they say."""

from jcnn.study.look import Look as Look
from jcnn.study.look import look_into as look_into
from jcnn.study.one_run import train_one as train_one
from jcnn.study.one_run import train_seeds as train_seeds
from jcnn.study.plan import Combination as Combination
from jcnn.study.portrait import Portrait as Portrait
from jcnn.study.progress import Progress as Progress
from jcnn.study.result import Result as Result
from jcnn.study.result import Row as Row
from jcnn.study.result import RunRecord as RunRecord
from jcnn.study.study import Study as Study
