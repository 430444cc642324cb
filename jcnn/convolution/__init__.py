"""Convolution whose gradients stay on XLA's fast path inside a training loop."""

from jcnn.convolution._conv import conv as conv
from jcnn.convolution._general import conv_general_dilated as conv_general_dilated
