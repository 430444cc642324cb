"""PyTorch's side of the benchmark: a process that answers requests as lines of JSON.

It is run by path, with any interpreter that has torch and numpy: it imports nothing from jcnn.
Each line on stdin is a request and each line on stdout its answer; `answer` describes the requests.
"""

import contextlib
import json
import os
import sys
import time
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F
from torch_networks import network


def synchronize():
    """Wait until the device has done all its work."""
    if torch.get_default_device().type == "cuda":
        torch.cuda.synchronize()


class Training:
    """One model, its optimizer and its batches; every run starts from the same weights.

    `compiled` is a mode of torch.compile, or None. In bfloat16 the network runs under autocast.
    """

    def __init__(self, path, layout, compiled, learning_rate, dtype="float32"):
        with np.load(path) as file:
            names = [name for name in file.files if name.startswith("weights/")]
            weights = {name.removeprefix("weights/"): file[name] for name in names}
            images = torch.tensor(file["inputs"].transpose(0, 3, 1, 2).copy())
            self.targets = torch.tensor(file["targets"].astype(np.int64))
            self.batches = torch.tensor(file["batches"].astype(np.int64))
        if layout == "channels_last":
            images = images.contiguous(memory_format=torch.channels_last)
        self.images = images
        self.net = network(weights)
        if layout == "channels_last":
            self.net.to(memory_format=torch.channels_last)
        self.first = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.loss = torch.compile(self._loss, mode=compiled) if compiled else self._loss
        self.learning_rate = learning_rate
        self.autocast = contextlib.nullcontext()
        if dtype != "float32":
            device = torch.get_default_device().type
            self.autocast = torch.autocast(device, dtype=getattr(torch, dtype))

    def _loss(self, inputs, targets):
        with self.autocast:
            logits = self.net(inputs)
        return F.cross_entropy(logits.float(), targets)

    def run(self, steps):
        self.net.load_state_dict(self.first)
        optimizer = torch.optim.Adam(self.net.parameters(), lr=self.learning_rate, fused=True)
        losses = []
        synchronize()
        began = time.perf_counter()
        for step in range(steps):
            torch.compiler.cudagraph_mark_step_begin()
            rows = self.batches[step % len(self.batches)]
            loss = self.loss(self.images[rows], self.targets[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach().clone())  # a CUDA graph reuses its output
        synchronize()
        seconds = time.perf_counter() - began
        return seconds, [float(loss) for loss in losses]


def weighted_avg(x, window, strides):
    """Weighted average pooling as a depthwise convolution, PyTorch's nearest equivalent."""
    kernel = torch.full((x.shape[1], 1, window, window), 1 / window**2, dtype=x.dtype)
    return F.conv2d(x, kernel, stride=strides, groups=x.shape[1])


OPS = {
    "max_pool": F.max_pool2d,
    "avg_pool": F.avg_pool2d,
    "weighted_avg_pool": weighted_avg,
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": partial(F.gelu, approximate="tanh"),
}


def _op(name, shape, options, layout, dtype):
    """Return a function that runs forward and backward once."""
    n, h, w, c = shape
    x = torch.randn(n, c, h, w, dtype=dtype)
    if layout == "channels_last":
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    leaves = [x]
    if name == "conv":
        window, groups = options["window"], options["groups"]
        kernel = torch.randn(options["out"], c // groups, window, window, dtype=dtype)
        kernel /= (window**2 * c / groups) ** 0.5
        if layout == "channels_last":
            kernel = kernel.contiguous(memory_format=torch.channels_last)
        leaves.append(kernel.requires_grad_())

        def function(x):
            return F.conv2d(x, kernel, stride=options["stride"], padding=window // 2, groups=groups)
    elif name == "l2_pool":

        def function(x):
            return F.lp_pool2d(x, 2.0, options["window"], options["strides"])
    elif name.endswith("_pool"):

        def function(x):
            return OPS[name](x, options["window"], options["strides"])
    elif name == "batch_norm":

        def function(x):
            return F.batch_norm(x, None, None, training=True)
    elif name == "layer_norm":

        def function(x):
            return F.layer_norm(x.movedim(1, -1), (c,)).movedim(-1, 1)
    elif name == "group_norm":

        def function(x):
            return F.group_norm(x, options["groups"])
    else:
        function = OPS[name]
    dy = torch.ones_like(function(x))

    def once():
        for leaf in leaves:
            leaf.grad = None
        function(x).backward(dy)

    return once


_cache = {}


def _device(request):
    """Use the device asked for, with its fastest settings; return the name of a GPU, if it is one.

    float32 products are then rounded to TF32, as XLA's are by default.
    """
    torch.manual_seed(0)
    if request["device"] == "cpu" or not torch.cuda.is_available():
        return {}
    torch.set_default_device(request["device"])
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    return {"device": torch.cuda.get_device_name()}


def answer(request):
    """Answer a request: "hello" (`threads`), "train" (`path`, `steps`, ...) or "op" (`op`, ...)."""
    if request["do"] == "hello":
        if "core" in request:
            os.sched_setaffinity(0, {request["core"]})
        torch.set_num_threads(request["threads"])
        return {"torch": torch.__version__, "python": sys.version.split()[0], **_device(request)}
    key = json.dumps({k: v for k, v in request.items() if k not in ("steps", "times")})
    if request["do"] == "train":
        if key not in _cache:
            _cache[key] = Training(
                *(request[k] for k in ("path", "layout", "compiled", "learning_rate", "dtype"))
            )
        seconds, losses = _cache[key].run(request["steps"])
        return {"seconds": seconds, "losses": losses}
    if key not in _cache:
        dtype = getattr(torch, request["dtype"])
        names = ("op", "shape", "options", "layout")
        _cache[key] = _op(*(request[name] for name in names), dtype)
    once = _cache[key]
    synchronize()
    began = time.perf_counter()
    for _ in range(request["times"]):
        once()
    synchronize()
    return {"seconds": time.perf_counter() - began}


def main():
    """Answer requests until the input ends."""
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:  # the answer carries the reason
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
