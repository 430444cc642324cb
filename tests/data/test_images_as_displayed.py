"""Images are read as viewers show them, or refused with the rule."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from jcnn.data import DataError, load_image_folder

RNG = np.random.default_rng(0)
COLORS = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)


def folder_of(root: Path, content: bytes, suffix: str = ".png") -> Path:
    """Two classes of two equal images."""
    for name in ("a", "b"):
        (root / name).mkdir(exist_ok=True)
        for index in range(2):
            (root / name / f"{index}{suffix}").write_bytes(content)
    return root


def read(root: Path, content: bytes, suffix: str = ".png") -> np.ndarray:
    return load_image_folder(folder_of(root, content, suffix)).train_inputs[0]


def refusal(root: Path, content: bytes, suffix: str = ".png") -> str:
    with pytest.raises(DataError) as caught:
        read(root, content, suffix)
    assert f"a/0{suffix}: " in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def shown(content: bytes) -> np.ndarray:
    """What a viewer shows: upright, its colors in 8 bits."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    grey = image.mode in ("1", "L", "LA")
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels


def png(header: tuple[int, int, int, int], rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of width, height, bit depth and color type, written from its specification."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", *header, 0, 0, 0))
    parts = [chunk(kind, body) for kind, body in chunks]
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + start + b"".join(parts) + end


@pytest.mark.parametrize("orientation", range(1, 10))
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_an_image_is_turned_as_its_exif_data_says(
    form: str, orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if form == "JPEG" else {}
    content = saved(Image.fromarray(COLORS), form, exif=exif, **options)
    expected = shown(content)
    assert expected.shape == ((4, 6, 3) if 5 <= orientation <= 8 else (6, 4, 3))
    np.testing.assert_array_equal(read(tmp_path, content), expected)


def test_images_must_have_one_size_as_displayed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    folder_of(tmp_path, saved(Image.fromarray(COLORS)))
    (tmp_path / "b" / "1.png").write_bytes(saved(Image.fromarray(COLORS), exif=exif))
    with pytest.raises(DataError, match=r"1.png: image is 6x4 color, but .*0.png is 4x6 color"):
        load_image_folder(tmp_path)


def test_damaged_exif_data_is_ignored_as_viewers_do(tmp_path: Path) -> None:
    content = saved(Image.fromarray(COLORS), exif=b"Exif\0\0not a TIFF header")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read(tmp_path, content), COLORS)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_opaque_mode_of_png_is_read_as_displayed(mode: str, tmp_path: Path) -> None:
    content = saved(Image.fromarray(COLORS).convert(mode))
    assert Image.open(io.BytesIO(content)).mode == mode
    np.testing.assert_array_equal(read(tmp_path, content), shown(content))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
def test_every_mode_of_jpeg_is_read_as_displayed(mode: str, tmp_path: Path) -> None:
    content = saved(Image.fromarray(COLORS).convert(mode), "JPEG")
    np.testing.assert_array_equal(read(tmp_path, content, ".jpg"), shown(content))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_of_grey_span_all_levels(depth: int, tmp_path: Path) -> None:
    content = png((8, 1, depth, 0), b"\0" + b"\x1b" * depth)
    bits = np.unpackbits(np.frombuffer(b"\x1b" * depth, np.uint8)).reshape(8, depth)
    levels = bits @ (1 << np.arange(depth)[::-1])
    expected = levels * 255 // (2**depth - 1)
    np.testing.assert_array_equal(read(tmp_path, content)[0, :, 0], expected)


@pytest.mark.parametrize(("color_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bits_per_channel_are_refused(color_type: int, channels: int, tmp_path: Path) -> None:
    content = png((2, 1, 16, color_type), b"\0" + b"\xff\xff" * 2 * channels)
    assert "16 bits per channel, expected 8; convert it, or save" in refusal(tmp_path, content)


def transparent() -> list[tuple[str, bytes]]:
    see_through = np.full((6, 4), 255, np.uint8)
    see_through[2, 3] = 254
    color = Image.fromarray(COLORS)
    images = []
    for mode in ("RGBA", "LA"):
        image = color.convert(mode)
        image.putalpha(Image.fromarray(see_through))
        images.append((mode, saved(image)))
    images.append(
        ("P", saved(color.convert("P"), transparency=color.convert("P").getpixel((1, 1))))
    )
    images.append(("RGB key", saved(color, transparency=color.getpixel((1, 1)))))
    grey = color.convert("L")
    images.append(("L key", saved(grey, transparency=grey.getpixel((1, 1)))))
    images.append(("1 key", png((8, 1, 1, 0), b"\0\x1b", (b"tRNS", b"\0\0"))))
    return images


@pytest.mark.parametrize(("name", "content"), transparent())
def test_transparent_pixels_are_refused(name: str, content: bytes, tmp_path: Path) -> None:
    assert "image has transparent pixels" in refusal(tmp_path, content)


def test_a_transparent_color_that_no_pixel_has_changes_nothing(tmp_path: Path) -> None:
    unused = next(c for c in range(256) if not (COLORS[..., 0] == c).any())
    content = saved(Image.fromarray(COLORS), transparency=(unused, 0, 0))
    np.testing.assert_array_equal(read(tmp_path, content), COLORS)


@pytest.mark.parametrize("mode", ["LAB", "F", "I", "I;16", "CMYK", "RGBX", "PA", "YCbCr"])
def test_other_formats_are_refused_whatever_their_name_says(mode: str, tmp_path: Path) -> None:
    content = saved(Image.new(mode, (4, 6)), "TIFF")
    assert Image.open(io.BytesIO(content)).format == "TIFF"
    assert "not a readable image" in refusal(tmp_path, content)


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(COLORS), Image.fromarray(255 - COLORS)]
    content = saved(frames[0], save_all=True, append_images=frames[1:])
    assert "image is an animation; save its frames" in refusal(tmp_path, content)


def test_many_scans_of_one_jpeg_file_are_refused(tmp_path: Path) -> None:
    """Each scan of a few bytes decodes every pixel once more."""
    content = saved(Image.fromarray(COLORS), "JPEG", progressive=True)
    first = content.index(b"\xff\xda")
    more = content[:first] + content[first:-2] * 30 + content[-2:]
    assert "image has more than 200 scans" in refusal(tmp_path, more, ".jpg")
    np.testing.assert_array_equal(read(tmp_path, content, ".jpg"), shown(content))
