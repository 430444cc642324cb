"""Train many runs as one compiled program, sharded over the local devices along a runs axis."""

from jcnn.engine._batches import epoch_batches as epoch_batches
from jcnn.engine._batches import steps_per_epoch as steps_per_epoch
from jcnn.engine._compilation_cache import Compilations as Compilations
from jcnn.engine._compilation_cache import compilations as compilations
from jcnn.engine._compilation_cache import enable_compilation_cache as enable_compilation_cache
from jcnn.engine._devices import use_all_cores as use_all_cores
from jcnn.engine._group import CompiledGroup as CompiledGroup
from jcnn.engine._group import Group as Group
from jcnn.engine._group import Run as Run
from jcnn.engine._initialization import Builder as Builder
from jcnn.engine._initialization import Fitted as Fitted
from jcnn.engine._initialization import first_model as first_model
from jcnn.engine._initialization import sampled_examples as sampled_examples
from jcnn.engine._pacing import Pacer as Pacer
from jcnn.engine._pacing import TimedCall as TimedCall
from jcnn.engine._prepare import prepare as prepare
from jcnn.engine._program import program_text as program_text
from jcnn.engine._snapshot import Outcome as Outcome
from jcnn.engine._snapshot import Snapshot as Snapshot
from jcnn.engine._training import Training as Training
