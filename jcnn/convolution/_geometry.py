"""The sizes of a convolution, and the three bilinear maps that share them."""

from typing import Literal, NamedTuple

from jax import Array

Pairs = tuple[tuple[int, int], ...]
# With x (input), k (kernel) and y (output), <y, conv(x, k)> is linear in each of the three, so
# convolution and its two transposes are one family, closed under transposition: each maps two of
# the three to the third.
Result = Literal["output", "input", "kernel"]


class Geometry(NamedTuple):
    """One entry per spatial axis in each field; hashable, as static arguments must be."""

    spatial: tuple[int, ...]
    window: tuple[int, ...]
    out_spatial: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Pairs

    @property
    def reach(self) -> tuple[int, ...]:
        """The number of input positions that the dilated window spans."""
        return tuple((w - 1) * d + 1 for w, d in zip(self.window, self.dilation, strict=True))

    @property
    def span(self) -> tuple[int, ...]:
        """The number of input positions from the first window's start to the last window's."""
        return tuple((o - 1) * s + 1 for o, s in zip(self.out_spatial, self.strides, strict=True))

    @property
    def transposed(self) -> "Geometry":
        """The convolution that computes the input's gradient, with the flipped kernel.

        It sees the output's gradient with its positions `strides` apart.
        """
        sizes = zip(self.spatial, self.span, self.reach, self.padding, strict=True)
        padding = tuple((r - 1 - low, size - span + low) for size, span, r, (low, _) in sizes)
        ones = (1,) * len(self.strides)
        return Geometry(self.span, self.window, self.spatial, ones, self.dilation, padding)


def input_channels(a: Array, b: Array, result: Result) -> int:
    """Return the input channels per model, from the operands of the map to `result`."""
    return a.shape[-1] if result == "kernel" else b.shape[-2]
