"""Data sets: a registry of names, readers and splits; random changes in `jcnn.data.augmentation`.

Everything here is NumPy. scikit-learn and Pillow are imported by the functions that need them, and
JAX only by `augmentation`, which is imported when it is first used.
"""

import importlib
from types import ModuleType as _ModuleType

from jcnn.data.archive import load_image_archive as load_image_archive
from jcnn.data.arrays import from_arrays as from_arrays
from jcnn.data.dataset import Dataset as Dataset
from jcnn.data.errors import DataError as DataError
from jcnn.data.idx import read_idx as read_idx
from jcnn.data.images import load_image_folder as load_image_folder
from jcnn.data.noise import noise as noise
from jcnn.data.npz import load_npz as load_npz
from jcnn.data.registry import Entry as Entry
from jcnn.data.registry import available as available
from jcnn.data.registry import load as load
from jcnn.data.sampling import sample_indices as sample_indices
from jcnn.data.shapeset import shapeset as shapeset
from jcnn.data.sources import from_source as from_source
from jcnn.data.sources import is_source as is_source
from jcnn.data.split import split_validation as split_validation
from jcnn.public import public_names


def __getattr__(name: str) -> _ModuleType:
    if name == "augmentation":
        return importlib.import_module("jcnn.data.augmentation")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return public_names(globals(), "augmentation")
