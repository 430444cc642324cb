"""Models: `(input_shape, outputs, *, activation, kernel_init, ..., rngs)` gives an nnx.Module."""

from jcnn.models.resnet import ResNet as ResNet
from jcnn.models.sequential import lenet as lenet
from jcnn.models.sequential import mlp as mlp
from jcnn.models.sequential import plain_cnn as plain_cnn
from jcnn.models.sequential import vgg as vgg
