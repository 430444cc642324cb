"""Studies: factors, the plan, the runs, and what they say."""

from jcnn.study.plan import Combination as Combination
from jcnn.study.result import Result as Result
from jcnn.study.result import Row as Row
from jcnn.study.result import RunRecord as RunRecord
from jcnn.study.study import Progress as Progress
from jcnn.study.study import Study as Study
