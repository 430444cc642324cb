"""One image file, read as it is displayed: its header is checked before it is decoded."""

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jcnn.data.errors import DataError
from jcnn.data.items import Item
from jcnn.data.reading import blaming, reading

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""The suffixes of readable images, in lower case."""

MOST_PIXELS = 2**24
"""The largest image: 4096 x 4096 pixels, which take 64 MiB while they are decoded."""

MOST_FILE_BYTES = 2**26
"""The largest file of an image: 64 MiB."""

# Modes of Pillow that are displayed in grey, and in color.
_GREY_MODES = ("1", "L", "LA")
_COLOR_MODES = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")
_ORIENTATION = 0x0112
# The names in `Image.Transpose` by the value of EXIF's orientation.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# In a progressive JPEG file each scan of a few bytes changes every pixel; usual are 10 of them.
_MOST_SCANS = 200
_START_OF_SCAN = b"\xff\xda"
# Python's filters of warnings are those of all threads.
_warnings_lock = threading.Lock()


class ImageKind(NamedTuple):
    """The size of an image as displayed, and its Pillow mode once read: L (grey) or RGB."""

    width: int
    height: int
    mode: str

    def __str__(self) -> str:
        """The size, and grey or color."""
        return f"{self.width}x{self.height} {'grey' if self.mode == 'L' else 'color'}"


class OpenImage(NamedTuple):
    """An image that has been checked."""

    path: Item
    image: "Image.Image"
    kind: ImageKind
    orientation: int

    def pixels(self) -> np.ndarray:
        """Return the image as displayed: uint8 `(height, width, channels)`, 1 channel or 3.

        Raises DataError if a pixel is transparent: the file does not say what is behind it.
        """
        with blaming(self.path):
            self.image.load()
            return displayed(self.image).reshape(self.kind.height, self.kind.width, -1)


@contextmanager
def open_image(path: Item) -> Iterator[OpenImage]:
    """Open an image and check its size and kind; `pixels` decodes it.

    Raises DataError, with the file and the fix, for anything that is not an 8-bit image.
    """
    from PIL import Image

    with reading(path, "image"), path.open("rb") as raw:
        content = raw.read(MOST_FILE_BYTES + 1)
        if len(content) > MOST_FILE_BYTES:
            raise DataError(
                f"{path}: image has more than {MOST_FILE_BYTES:,} bytes; make it smaller"
            )
        with _warnings_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about EXIF data that is damaged, as viewers do
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            try:
                opened = Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP"))
            except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
                raise _too_large(path) from error
            mode = _check_header(path, opened, content)
            orientation = _orientation(opened)
        with opened as image:
            width, height = image.size if orientation < 5 else image.size[::-1]
            yield OpenImage(path, image, ImageKind(width, height, mode), orientation)


def _check_header(path: Item, image: "Image.Image", content: bytes) -> str:
    """Return the mode, L or RGB, that an image is read in."""
    if image.width * image.height > MOST_PIXELS:
        raise _too_large(path)
    # Pillow reads the upper half of 16-bit colors and does not say so; byte 24 holds the depth.
    if image.format == "PNG" and content[24] > 8:
        raise DataError(
            f"{path}: image has {content[24]} bits per channel, expected 8; convert it, or save "
            "the arrays as .npz"
        )
    if image.format != "JPEG" and getattr(image, "is_animated", False):
        raise DataError(f"{path}: image is an animation; save its frames as single images")
    if image.format == "JPEG" and content.count(_START_OF_SCAN) > _MOST_SCANS:
        raise DataError(f"{path}: image has more than {_MOST_SCANS} scans; save it again")
    if image.mode in _GREY_MODES:
        return "L"
    if image.mode in _COLOR_MODES:
        return "RGB"
    raise DataError(
        f"{path}: image has Pillow mode {image.mode}, expected 8 bits per channel (L or RGB); "
        "convert it, or save the arrays as .npz"
    )


def displayed(image: "Image.Image") -> np.ndarray:
    """Return an image of Pillow as displayed: uint8, grey `(height, width)` or RGB.

    Other kinds, such as 16 bits per channel, stay as they are. Raises DataError if a pixel is
    transparent.
    """
    from PIL import Image

    if image.mode not in (*_GREY_MODES, *_COLOR_MODES):
        return np.asarray(image)
    if image.has_transparency_data and _is_transparent(image):
        raise DataError(
            "image has transparent pixels, whose color depends on the background; put it on one "
            "first (PIL.Image.alpha_composite)"
        )
    orientation = _orientation(image)
    shown = image.convert("L" if image.mode in _GREY_MODES else "RGB")
    if orientation in _UPRIGHT:
        shown = shown.transpose(Image.Transpose[_UPRIGHT[orientation]])
    return np.asarray(shown)


def _too_large(path: Item) -> DataError:
    return DataError(f"{path}: image has more than {MOST_PIXELS:,} pixels; make it smaller")


def _orientation(image: "Image.Image") -> int:
    """Return EXIF's orientation, 1 to 8; like viewers, 1 if the EXIF data cannot be read."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _is_transparent(image: "Image.Image") -> bool:
    opacity = image.convert("RGBA").getchannel("A").histogram()
    return sum(opacity[:255]) > 0
