"""Many runs as one program: groups of one structure, and the devices that carry the runs axis."""

from jcnn.engine.cache import compilations as compilations
from jcnn.engine.cache import keep_compiled as keep_compiled
from jcnn.engine.devices import use_all_cores as use_all_cores
from jcnn.engine.group import CompiledGroup as CompiledGroup
from jcnn.engine.group import Group as Group
from jcnn.engine.group import Run as Run
from jcnn.engine.group import Training as Training
from jcnn.engine.group import steps_per_epoch as steps_per_epoch
from jcnn.engine.heldout import prepare as prepare
from jcnn.engine.initial import Builder as Builder
from jcnn.engine.initial import Fitted as Fitted
from jcnn.engine.initial import first_examples as first_examples
from jcnn.engine.initial import first_model as first_model
from jcnn.engine.program import program_text as program_text
from jcnn.engine.snapshot import Outcome as Outcome
from jcnn.engine.snapshot import Snapshot as Snapshot
