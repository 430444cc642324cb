"""Independent references for convolution and pooling: plain loops over NumPy arrays."""

import itertools

import numpy as np


def paddings(padding, lengths, window, strides, dilation):
    if padding == "VALID":
        return [(0, 0)] * len(window)
    if padding == "SAME":
        pads = []
        for n, k, s, d in zip(lengths, window, strides, dilation, strict=True):
            total = max((int(np.ceil(n / s)) - 1) * s + (k - 1) * d + 1 - n, 0)
            pads.append((total // 2, total - total // 2))
        return pads
    return list(padding)


def windows(shape, window, strides, padding, dilation):
    """Return the input positions of each output's window in row-major order; None is padding."""
    n = len(window)
    pads = paddings(padding, shape, window, strides, dilation)
    counts = [
        (shape[i] + sum(pads[i]) - (window[i] - 1) * dilation[i] - 1) // strides[i] + 1
        for i in range(n)
    ]
    positions = {}
    for out in itertools.product(*map(range, counts)):
        inputs = []
        for tap in itertools.product(*map(range, window)):
            at = tuple(out[i] * strides[i] + tap[i] * dilation[i] - pads[i][0] for i in range(n))
            inputs.append(at if all(0 <= at[i] < shape[i] for i in range(n)) else None)
        positions[out] = inputs
    return tuple(counts), positions


def pool(x, window, strides, padding, dilation, reduce, dy=None):
    """Pool `(batch, *spatial, channels)` with `reduce(values, inside) -> (value, gradient)`.

    Return the pooled array and, if its cotangent `dy` is passed, the gradient for `x`.
    """
    spatial = x.shape[1:-1]
    counts, positions = windows(spatial, window, strides, padding, dilation)
    y = np.zeros((len(x), *counts, x.shape[-1]), np.float64)
    dx = np.zeros(x.shape, np.float64)
    for b, c in itertools.product(range(len(x)), range(x.shape[-1])):
        for out, inputs in positions.items():
            inside = np.array([at is not None for at in inputs])
            values = np.array([0.0 if at is None else x[(b, *at, c)] for at in inputs], np.float64)
            value, gradient = reduce(values, inside)
            y[(b, *out, c)] = value
            if dy is not None:
                for at, g in zip(inputs, gradient, strict=True):
                    if at is not None:
                        dx[(b, *at, c)] += g * dy[(b, *out, c)]
    return y, dx


def conv(x, kernel, strides, padding, dilation, groups=1):
    """Cross-correlate `(batch, *spatial, in)` with `(*window, in // groups, out)`."""
    window = kernel.shape[:-2]
    counts, positions = windows(x.shape[1:-1], window, strides, padding, dilation)
    taps = kernel.reshape(-1, *kernel.shape[-2:])
    per_in, per_out = kernel.shape[-2], kernel.shape[-1] // groups
    y = np.zeros((len(x), *counts, kernel.shape[-1]), np.float64)
    for b in range(len(x)):
        for out, inputs in positions.items():
            for tap, at in zip(taps, inputs, strict=True):
                if at is None:
                    continue
                for g in range(groups):
                    outs = slice(g * per_out, (g + 1) * per_out)
                    values = x[(b, *at)][g * per_in : (g + 1) * per_in]
                    y[(b, *out)][outs] += values @ tap[:, outs]
    return y
