"""A local web page: choose the parts of a network, see its signals, and watch it train."""

from jcnn.explore.server import Explorer as Explorer
from jcnn.explore.server import serve as serve
from jcnn.public import public_names


def __dir__() -> list[str]:
    return public_names(globals())
