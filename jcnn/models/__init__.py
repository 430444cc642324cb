"""Models: `model(input_shape, outputs, *, activation, kernel_init, ..., rngs)` is an nnx.Module."""

from jcnn.models._chains import lenet as lenet
from jcnn.models._chains import mlp as mlp
from jcnn.models._chains import plain_cnn as plain_cnn
from jcnn.models._chains import vgg as vgg
from jcnn.models._resnet import ResNet as ResNet
