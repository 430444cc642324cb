"""Why a network does not train: what happens to gradients, layer by layer."""

from jcnn.diagnosis.chain_rule import Chain as Chain
from jcnn.diagnosis.chain_rule import Factor as Factor
from jcnn.diagnosis.chain_rule import chain_rule as chain_rule
