"""The benchmark's networks in PyTorch, from the weights of jcnn's; for torch_worker.py alone."""

import numpy as np
import torch
from torch.nn import functional as F


def network(weights):
    """Return the network that has these weights, by their paths in jcnn's."""
    return ResNet(weights) if "stem/conv/kernel" in weights else ConvNet(weights)


def copy(parameter, array):
    """Set a parameter to an array."""
    with torch.no_grad():
        parameter.copy_(torch.tensor(np.ascontiguousarray(array)))


def conv(kernel, bias=None, stride=1):
    """Return a 3x3 convolution with padding 1 and a kernel of (height, width, in, out)."""
    layer = torch.nn.Conv2d(
        kernel.shape[2], kernel.shape[3], 3, stride, padding=1, bias=bias is not None
    )
    copy(layer.weight, kernel.transpose(3, 2, 0, 1))
    if bias is not None:
        copy(layer.bias, bias)
    return layer


def dense(weight, bias):
    """Return a dense layer with weights of (out, in)."""
    layer = torch.nn.Linear(*weight.shape[::-1])
    copy(layer.weight, weight)
    copy(layer.bias, bias)
    return layer


class ConvNet(torch.nn.Module):
    """3x3 convolutions with ReLU and 2x2 max pooling, dense layers with ReLU, and an output."""

    def __init__(self, weights):
        super().__init__()
        self.convs, self.denses = torch.nn.ModuleList(), torch.nn.ModuleList()
        channels = None
        for name, kernel in weights.items():
            if not name.endswith("/kernel"):
                continue
            bias = weights[name.replace("kernel", "bias")]
            if kernel.ndim == 4:
                self.convs.append(conv(kernel, bias))
                channels = kernel.shape[3]
                continue
            weight = kernel.T
            if channels:  # from inputs in the order (position, channel) to (channel, position)
                weight = weight.reshape(len(weight), -1, channels).swapaxes(1, 2)
                weight, channels = weight.reshape(kernel.T.shape), None
            self.denses.append(dense(weight, bias))

    def forward(self, x):
        """Return logits."""
        for layer in self.convs:
            x = F.max_pool2d(F.relu(layer(x)), 2)
        x = x.flatten(1)
        *hidden, output = self.denses
        for layer in hidden:
            x = F.relu(layer(x))
        return output(x)


class Block(torch.nn.Module):
    """Two convolutions with batch normalization, and a shortcut without parameters."""

    def __init__(self, first, second, stride):
        super().__init__()
        self.conv1, self.conv2 = conv(first, stride=stride), conv(second)
        # JAX pads a strided convolution of even size by (0, 1), and PyTorch by (1, 1).
        if stride > 1:
            self.conv1.padding = (0, 0)
        self.norm1, self.norm2 = (norm(first.shape[3]) for _ in range(2))
        self.stride, self.extra = stride, first.shape[3] - first.shape[2]

    def forward(self, x):
        """Return the sum of the branch and the shortcut, after ReLU."""
        padded = F.pad(x, (0, 1, 0, 1)) if self.stride > 1 else x
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(padded)))))
        x = x[:, :, :: self.stride, :: self.stride]
        return F.relu(F.pad(x, (0, 0, 0, 0, 0, self.extra)) + y)


def norm(channels):
    """Return a batch normalization with jcnn's constants."""
    return torch.nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)


class ResNet(torch.nn.Module):
    """ResNet-20 for small images (He et al. 2016)."""

    def __init__(self, weights):
        super().__init__()
        self.stem = conv(weights["stem/conv/kernel"])
        self.norm = norm(16)
        blocks, channels = [], 16
        for i in range(9):
            first, second = (weights[f"blocks/{i}/conv{k}/kernel"] for k in (1, 2))
            stride = 2 if first.shape[3] > channels else 1
            blocks.append(Block(first, second, stride))
            channels = first.shape[3]
        self.blocks = torch.nn.Sequential(*blocks)
        self.output = dense(weights["output/kernel"].T, weights["output/bias"])

    def forward(self, x):
        """Return logits."""
        x = self.blocks(F.relu(self.norm(self.stem(x))))
        return self.output(x.mean((2, 3)))
