"""Functions and models as traced programs: flat lists of equations that are run again with changes.

`flatten` turns a jaxpr into a `Program`; `evaluate` and `run_equations` interpret it. `trace` does
so for a model, and finds its weighted layers and the activations that follow them.
"""

from jcnn.public import public_names
from jcnn.tracing.activation import TracedActivation as TracedActivation
from jcnn.tracing.find_activations import find_activations as find_activations
from jcnn.tracing.flatten import flatten as flatten
from jcnn.tracing.interpreter import Rule as Rule
from jcnn.tracing.interpreter import bind as bind
from jcnn.tracing.interpreter import evaluate as evaluate
from jcnn.tracing.interpreter import read as read
from jcnn.tracing.interpreter import run_equation as run_equation
from jcnn.tracing.interpreter import run_equations as run_equations
from jcnn.tracing.layer_graph import BATCH as BATCH
from jcnn.tracing.layer_graph import Gradients as Gradients
from jcnn.tracing.layer_graph import LayerGraph as LayerGraph
from jcnn.tracing.layer_graph import gradient_paths as gradient_paths
from jcnn.tracing.layer_graph import layer_graph as layer_graph
from jcnn.tracing.model import TracedLayer as TracedLayer
from jcnn.tracing.model import TracedModel as TracedModel
from jcnn.tracing.model import trace as trace
from jcnn.tracing.operations import count_operations as count_operations
from jcnn.tracing.program import Atom as Atom
from jcnn.tracing.program import Constant as Constant
from jcnn.tracing.program import Equation as Equation
from jcnn.tracing.program import Program as Program
from jcnn.tracing.program import Var as Var
from jcnn.tracing.program import equations_between as equations_between
from jcnn.tracing.program import equations_up_to as equations_up_to


def __dir__() -> list[str]:
    return public_names(globals())
