"""Why a network does not train: what happens in its layers, and to gradients between them."""

from jcnn.diagnosis.chain_rule import Chain as Chain
from jcnn.diagnosis.chain_rule import Factor as Factor
from jcnn.diagnosis.chain_rule import chain_rule as chain_rule
from jcnn.diagnosis.diagnosis import Diagnosis as Diagnosis
from jcnn.diagnosis.diagnosis import LayerReport as LayerReport
from jcnn.diagnosis.examination import Examination as Examination
from jcnn.diagnosis.examination import diagnose as diagnose
from jcnn.diagnosis.layerwise import Passed as Passed
from jcnn.diagnosis.layerwise import diagnose_layerwise as diagnose_layerwise
from jcnn.diagnosis.layerwise_prediction import predict_layerwise as predict_layerwise
from jcnn.diagnosis.learning_rate import FoundRate as FoundRate
from jcnn.diagnosis.learning_rate import find_learning_rate as find_learning_rate
from jcnn.diagnosis.lsuv import lsuv as lsuv
from jcnn.diagnosis.prediction import Prediction as Prediction
from jcnn.diagnosis.prediction import predict as predict
from jcnn.diagnosis.singular import SingularValues as SingularValues
from jcnn.diagnosis.singular import singular_values as singular_values
from jcnn.diagnosis.summary import LayerSummary as LayerSummary
from jcnn.diagnosis.summary import Summary as Summary
from jcnn.diagnosis.summary import summarize as summarize
from jcnn.diagnosis.verdicts import Verdict as Verdict
