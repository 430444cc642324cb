"""What finished runs say: ranking, comparisons, effects, interactions, and the answer in words."""

from jcnn.analysis.answer import Answer as Answer
from jcnn.analysis.best import CouldBeBest as CouldBeBest
from jcnn.analysis.best import could_be_best as could_be_best
from jcnn.analysis.best import seeds_for as seeds_for
from jcnn.analysis.contrasts import Contrasts as Contrasts
from jcnn.analysis.contrasts import compare_means as compare_means
from jcnn.analysis.diff import Difference as Difference
from jcnn.analysis.diff import difference as difference
from jcnn.analysis.effects import Effect as Effect
from jcnn.analysis.effects import LevelEffect as LevelEffect
from jcnn.analysis.findings import Findings as Findings
from jcnn.analysis.gains import Gain as Gain
from jcnn.analysis.gains import Interaction as Interaction
from jcnn.analysis.metric import Metric as Metric
from jcnn.analysis.metric import parse_metric as parse_metric
from jcnn.analysis.pareto import FrontRow as FrontRow
from jcnn.analysis.pareto import ParetoFront as ParetoFront
from jcnn.analysis.pareto import pareto_front as pareto_front
from jcnn.analysis.racing import race as race
from jcnn.analysis.ranking import Row as Row
from jcnn.analysis.records import RunRecord as RunRecord
from jcnn.analysis.result import Result as Result
from jcnn.analysis.spread import Comparison as Comparison
from jcnn.analysis.spread import Interval as Interval
from jcnn.public import public_names


def __dir__() -> list[str]:
    return public_names(globals())
