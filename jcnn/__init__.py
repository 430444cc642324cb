"""jcnn: which parts should a convolutional network be made of, and why does one not train?"""

from jcnn.version import __version__ as __version__
