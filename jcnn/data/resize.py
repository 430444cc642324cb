"""Images of any size and kind, brought to one size."""

import re
from typing import Any, NamedTuple, Union

import numpy as np

from jcnn.arguments import is_integer
from jcnn.data.errors import DataError
from jcnn.errors import UsageError

MOST = 4096
"""The largest height and width."""


class Resize(NamedTuple):
    """The size that all images are brought to, and whether they are padded instead of cropped.

    Images keep their proportions. They are scaled (bicubic, antialiased) until they cover the size
    and their middle is cut out, or, with `pad`, until they fit into it, with black around them.
    """

    height: int
    width: int
    pad: bool = False

    def __str__(self) -> str:
        """The size and the manner, as in a note of a result."""
        return f"scaled and {'padded' if self.pad else 'cropped'} to {self.height}x{self.width}"

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return an image `(rows, columns, channels)` of uint8 in this size."""
        from PIL import Image, ImageOps

        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        size = self.width, self.height
        change = ImageOps.pad if self.pad else ImageOps.fit
        resized = change(image, size, method=Image.Resampling.BICUBIC)
        return np.asarray(resized).reshape(self.height, self.width, -1)


ResizeTo = Union[int, str, "Resize", tuple[int, int]]


def as_resize(value: Any) -> Resize:
    """Return the `Resize` that `224`, `(height, width)`, "224", "224x320" or "224:pad" stands for.

    Raises UsageError for anything else.

    >>> as_resize(224) == as_resize("224x224") == as_resize((224, 224))
    True
    >>> str(as_resize("32x48:pad"))
    'scaled and padded to 32x48'
    """
    numbers: tuple[int, ...] = ()
    pad = False
    if isinstance(value, Resize):
        numbers, pad = value[:2], value.pad
    elif isinstance(value, str):
        match = re.fullmatch(r"([0-9]+)(?:x([0-9]+))?(?::(pad|crop))?", value)
        if match:
            numbers = int(match[1]), int(match[2] or match[1])
            pad = match[3] == "pad"
    elif _is_whole(value):
        numbers = int(value), int(value)
    elif isinstance(value, (tuple, list)) and all(map(_is_whole, value)):
        numbers = tuple(map(int, value))
    if len(numbers) != 2 or not all(0 < number <= MOST for number in numbers):
        raise UsageError(
            f"resize={value!r}; expected a size from 1 to {MOST}, such as 224, 224x320 (height x "
            "width), or 224:pad"
        )
    return Resize(*numbers, pad)


def _is_whole(value: Any) -> bool:
    return is_integer(value) and not isinstance(value, bool)


def check_resizable(name: str, resize: ResizeTo | None) -> None:
    """Raise DataError if images are to be resized and the data set has no files of images."""
    if resize is not None:
        raise DataError(f"{name}: resize is for folders and archives of images; drop it")
