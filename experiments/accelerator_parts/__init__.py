"""The parts of accelerator.py, each a generator of names and figures."""

from accelerator_parts.benchmarks import operations, peaks, training
from accelerator_parts.convolutions import convolutions
from accelerator_parts.exactness import exactness
from accelerator_parts.kernels import kernels
from accelerator_parts.part import Part
from accelerator_parts.repeatability import repeatability
from accelerator_parts.speed_recipe import cifar10
from accelerator_parts.studies import studies

PARTS: dict[str, Part] = {
    part.__name__: part
    for part in (
        peaks,
        exactness,
        repeatability,
        cifar10,
        operations,
        kernels,
        convolutions,
        studies,
        training,
    )
}
