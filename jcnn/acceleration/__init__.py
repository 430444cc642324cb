"""Any traced function with jcnn's convolutions and pooling in place of XLA's."""

from jcnn.acceleration._accelerate import accelerate as accelerate
from jcnn.acceleration._accelerate import accelerate_traced as accelerate_traced
from jcnn.public import public_names


def __dir__() -> list[str]:
    return public_names(globals())
