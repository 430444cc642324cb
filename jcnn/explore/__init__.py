"""A page on this machine alone: choose the parts of a network, see its signals, watch it train."""

from jcnn.explore.server import Explorer as Explorer
from jcnn.explore.server import serve as serve
