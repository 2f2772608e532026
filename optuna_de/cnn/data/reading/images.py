"""Images: opened, decoded, read and fitted."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.data.reading.jpeg import decode_jpeg, jpeg_shape
from optuna_de.cnn.data.reading.resizing import Resizing

try:
    import pillow_heif
except ImportError:  # a plugin for Pillow that the extra "data" has
    pass
else:
    pillow_heif.register_heif_opener()

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
}
IMAGE_FORMATS = tuple(f for f in _SUFFIXES if f in set(Image.registered_extensions().values()))
"""Pillow's names of the formats that are opened, whatever a file is called.

Pillow also knows formats whose readers start other programs (PostScript: Ghostscript).
"""
SUFFIXES = frozenset(suffix for name in IMAGE_FORMATS for suffix in _SUFFIXES[name])
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112


class DataError(ValueError):
    """Images or data that cannot be read, said in one sentence."""


@dataclass(frozen=True, slots=True)
class NamedBytes:
    """An image file within another file, such as a table or an archive."""

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name


ImageItem: TypeAlias = Path | NamedBytes | NDArray[np.uint8] | Image.Image
"""An image that is not yet decoded: a file, or pixels (h, w, c) with 1 or 3 channels."""


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings about single files.

    Filters of warnings belong to the process: enter this once around all threads that decode.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


@contextmanager
def open_image(item: Path | NamedBytes) -> Iterator[Image.Image]:
    """Open images: a file, its pixels not decoded yet.

    Raises:
        DataError: If the file is not regular (a FIFO, a device), is no image of
            :data:`IMAGE_FORMATS`, has more than 16 bits a channel, or more than twice Pillow's
            ``MAX_IMAGE_PIXELS``; also if the body fails.
    """
    try:
        with Image.open(_file_of(item), formats=IMAGE_FORMATS) as image:
            if image.mode in ("I", "F") and not _has_16_bits(image):
                raise DataError(
                    f"{item} has more than 16 bits a channel (mode {image.mode}), but images "
                    "must have 8 or 16."
                )
            yield image
    except DataError:
        raise
    except Exception as error:  # of a hostile file Pillow's readers raise anything
        raise DataError(f"{item} cannot be read as an image ({type(error).__name__}).") from error


def _file_of(item: Path | NamedBytes) -> Any:
    if isinstance(item, NamedBytes):
        return BytesIO(item.data)
    if not item.is_file():
        if item.exists():
            raise DataError(f"{item} is not a regular file, so it is not opened.")
        raise DataError(f"{item} leads to no file.")
    return item


def loaded(item: ImageItem) -> ImageItem:
    """Return an image whose bytes are in memory, if it is a file; its pixels not decoded.

    Raises:
        DataError: If the file is not regular or cannot be read.
    """
    if not isinstance(item, Path):
        return item
    try:
        return NamedBytes(str(item), _file_of(item).read_bytes())
    except OSError as error:
        raise DataError(f"{item} cannot be read ({type(error).__name__}).") from error


def decode(item: ImageItem, resizing: Resizing) -> NDArray[np.uint8]:
    """Return one image, uint8 (h, w, 1) where it is grey, else (h, w, 3); see :func:`plain`.

    A JPEG is decoded at a half, a quarter or an eighth of its size if that leaves at least twice
    the size of ``resizing``.

    Raises:
        DataError: As :func:`open_image`.
    """
    if isinstance(item, np.ndarray):
        if resizing.size is None:
            return item
        return resizing.fit(Image.fromarray(item[..., 0] if item.shape[2] == 1 else item))
    if isinstance(item, Image.Image):
        return resizing.fit(plain(item, resizing.background))
    content = loaded(item)
    assert isinstance(content, NamedBytes)
    twice = None if resizing.size is None else (2 * resizing.size[0], 2 * resizing.size[1])
    pixels = decode_jpeg(content.data, twice)
    if pixels is not None:
        return pixels if pixels.shape[:2] == resizing.size else decode(pixels, resizing)
    with open_image(content) as image:
        if twice is not None:
            image.draft(None, twice[::-1])
        return resizing.fit(plain(image, resizing.background))


def read_header(item: ImageItem) -> tuple[int, int, int]:
    """Return the shape (h, w, c) that :func:`decode` would give, from the image's header alone.

    Raises:
        DataError: As :func:`open_image`.
    """
    if isinstance(item, np.ndarray):
        return item.shape[0], item.shape[1], item.shape[2]
    if isinstance(item, Image.Image):
        return item.height, item.width, 1 if _is_grey(item) else 3
    if isinstance(item, NamedBytes) and (shape := jpeg_shape(item.data)):
        return shape
    with open_image(item) as image:
        width, height = image.size
        # Pillow decodes a whole PNG to find an Exif chunk behind the pixels.
        known = image.format != "PNG" or "exif" in image.info
        if known and image.getexif().get(_ORIENTATION) in _SIDEWAYS:
            width, height = height, width
        return height, width, 1 if _is_grey(image) else 3


def digest(item: ImageItem) -> int:
    """Return 63 bits of a hash of an image's bytes; equal files have equal ones.

    Raises:
        DataError: If the file cannot be read.
    """
    item = loaded(item)
    content = item.data if isinstance(item, NamedBytes) else np.asarray(item).tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") >> 1


def plain(image: Image.Image, background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """Return an image, upright, as L if it is grey (mode 1, L or 16 bits), else as RGB.

    Of 16 bits the upper 8 are taken. Transparent pixels are laid over the background. Of an
    animation the first frame is taken.
    """
    grey, deep, clear = _is_grey(image), _has_16_bits(image), _is_transparent(image)
    image = ImageOps.exif_transpose(image)
    if deep:
        upper = np.clip(np.asarray(image), 0, 2**16 - 1) >> 8
        return Image.fromarray(upper.astype(np.uint8))
    if clear:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image)
    elif image.mode == "P":
        image = image.convert("RGBA")
    mode = "L" if grey else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _has_16_bits(image: Image.Image) -> bool:
    """Tell whether an image has one channel of 16 bits; Pillow's mode I can mean 16 or 32."""
    wide = image.mode == "I" and image.format in ("PNG", "PPM")
    return wide or image.mode.startswith("I;16")


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L") or _has_16_bits(image)


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def read_image(
    path: Path, shape: ImageShape, resizing: Resizing | None = None
) -> NDArray[np.uint8]:
    """Read images: a file as uint8 (c, h, w), as those of a training.

    It is turned upright and resized to (h, w); a grey network sees colours as grey, a colour
    network grey in each of three channels.

    Args:
        path: The file.
        shape: (c, h, w).
        resizing: How the images of the training were resized; None is cropped, over white.

    Raises:
        DataError: If there is no image, see :func:`open_image`, or c is not 1 or 3.
    """
    if not path.is_file():
        raise DataError(f"There is no image {path}.")
    side, chosen = 2 * max(shape[1:]), resizing or Resizing()
    with quiet_pillow(), open_image(path) as image:
        image.draft(None, (side, side))
        upright = plain(image, chosen.background)
    return fit_to(upright, shape, chosen)


def fit_to(
    image: Image.Image, shape: ImageShape, resizing: Resizing | None = None
) -> NDArray[np.uint8]:
    """Bring an image of mode L or RGB to uint8 (c, h, w)."""
    channels, height, width = shape
    if channels not in (1, 3):
        raise DataError(f"The network takes {channels} channels, but image files have 1 or 3.")
    fitted = replace(resizing or Resizing(), size=(height, width)).fit(image)
    plane = Image.fromarray(fitted[..., 0] if fitted.shape[2] == 1 else fitted)
    pixels = np.array(plane.convert("L" if channels == 1 else "RGB"), np.uint8)
    planes: NDArray[np.uint8] = pixels.reshape(height, width, channels).transpose(2, 0, 1)
    return planes
