"""Benchmarks of operations and training steps, compared with plain Flax and PyTorch."""

from jcnn.bench.diagnosis import run_diagnosis as run_diagnosis
from jcnn.bench.machine import Peaks as Peaks
from jcnn.bench.machine import hardware as hardware
from jcnn.bench.machine import measure_peaks as measure_peaks
from jcnn.bench.operation_profile import Profile as Profile
from jcnn.bench.operation_profile import profile as profile
from jcnn.bench.ops import run_ops as run_ops
from jcnn.bench.processes import run_processes as run_processes
from jcnn.bench.steps import run_steps as run_steps
from jcnn.bench.sweep import run_sweep as run_sweep
from jcnn.public import public_names


def __dir__() -> list[str]:
    return public_names(globals())
