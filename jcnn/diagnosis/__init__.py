"""Why a network does not train: signals and gradients in its layers, verdicts and remedies."""

from jcnn.diagnosis.chain_rule import Chain as Chain
from jcnn.diagnosis.chain_rule import Factor as Factor
from jcnn.diagnosis.chain_rule import chain_rule as chain_rule
from jcnn.diagnosis.diagnosis import Diagnosis as Diagnosis
from jcnn.diagnosis.examination import Examination as Examination
from jcnn.diagnosis.examination import diagnose as diagnose
from jcnn.diagnosis.history import LayerHistory as LayerHistory
from jcnn.diagnosis.history import StepDiagnosis as StepDiagnosis
from jcnn.diagnosis.history import average_histories as average_histories
from jcnn.diagnosis.layer_report import LayerInfo as LayerInfo
from jcnn.diagnosis.layer_report import LayerReport as LayerReport
from jcnn.diagnosis.layerwise import LayerwiseDiagnosis as LayerwiseDiagnosis
from jcnn.diagnosis.layerwise import diagnose_layerwise as diagnose_layerwise
from jcnn.diagnosis.learning_rate_search import LearningRateSearch as LearningRateSearch
from jcnn.diagnosis.learning_rate_search import find_learning_rate as find_learning_rate
from jcnn.diagnosis.live import LayerWatch as LayerWatch
from jcnn.diagnosis.live import watch as watch
from jcnn.diagnosis.lsuv import lsuv as lsuv
from jcnn.diagnosis.mean_field import MeanFieldPrediction as MeanFieldPrediction
from jcnn.diagnosis.mean_field import mean_field as mean_field
from jcnn.diagnosis.mean_field_layerwise import mean_field_layerwise as mean_field_layerwise
from jcnn.diagnosis.singular import SingularValues as SingularValues
from jcnn.diagnosis.singular import singular_values as singular_values
from jcnn.diagnosis.summary import LayerSummary as LayerSummary
from jcnn.diagnosis.summary import Summary as Summary
from jcnn.diagnosis.summary import summarize as summarize
from jcnn.diagnosis.verdicts import Verdict as Verdict
from jcnn.public import public_names


def __dir__() -> list[str]:
    return public_names(globals())
