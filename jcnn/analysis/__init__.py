"""What finished runs say: ranking, statistics, effects, interactions, and the answer in words."""

from jcnn.analysis.ranking import Row as Row
from jcnn.analysis.ranking import RunRecord as RunRecord
from jcnn.analysis.result import Result as Result
