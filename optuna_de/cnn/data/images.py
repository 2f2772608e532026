"""Images: decoded from files and fitted to a shape."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from optuna_de.cnn.architecture.layers import ImageShape

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
}
IMAGE_FORMATS = tuple(f for f in _SUFFIXES if f in set(Image.registered_extensions().values()))
"""Pillow's names of the formats that are opened, whatever a file is called.

Pillow also knows formats whose readers start other programs (PostScript: Ghostscript).
"""
SUFFIXES = frozenset(suffix for name in IMAGE_FORMATS for suffix in _SUFFIXES[name])
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112


class DataError(ValueError):
    """Data that cannot be used, said in one sentence."""


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings about single files.

    Filters of warnings belong to the process: enter this once around all threads that decode.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file; its pixels are not decoded yet.

    Raises:
        DataError: If the file is not regular (a FIFO, a device), is no image of
            :data:`IMAGE_FORMATS`, has more than 16 bits a channel, or more than twice Pillow's
            ``MAX_IMAGE_PIXELS``; also if the body fails.
    """
    try:
        if not path.exists():
            raise DataError(f"{path} leads to no file.")
        if not path.is_file():
            raise DataError(f"{path} is not a regular file, so it is not opened.")
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            if image.mode in ("I", "F") and not _has_16_bits(image):
                raise DataError(
                    f"{path} has more than 16 bits a channel (mode {image.mode}), but images "
                    "must have 8 or 16."
                )
            yield image
    except DataError:
        raise
    except Exception as error:  # of a hostile file Pillow's readers raise anything
        raise DataError(f"{path} cannot be read as an image ({type(error).__name__}).") from error


def decode(path: Path, image_size: int | None) -> NDArray[np.uint8]:
    """Return one image, uint8 (h, w, 1) where it is grey, else (h, w, 3); see :func:`plain`.

    A JPEG is decoded at a half, a quarter or an eighth of its size if that leaves at least twice
    ``image_size``.

    Raises:
        DataError: As :func:`open_image`.
    """
    with open_image(path) as image:
        if image_size is not None:
            image.draft(None, (2 * image_size, 2 * image_size))
        return fit(plain(image), image_size)


def read_header(path: Path) -> tuple[int, int, int]:
    """Return the shape (h, w, c) that :func:`decode` would give, from the file's header alone.

    Raises:
        DataError: As :func:`open_image`.
    """
    with open_image(path) as image:
        width, height = image.size
        # Pillow decodes a whole PNG to find an Exif chunk behind the pixels.
        known = image.format != "PNG" or "exif" in image.info
        if known and image.getexif().get(_ORIENTATION) in _SIDEWAYS:
            width, height = height, width
        return height, width, 1 if _is_grey(image) else 3


def plain(image: Image.Image) -> Image.Image:
    """Return an image, upright, as L if it is grey (mode 1, L or 16 bits), else as RGB.

    Of 16 bits the upper 8 are taken. Transparent pixels are laid over white. Of an animation the
    first frame is taken.
    """
    grey, deep, clear = _is_grey(image), _has_16_bits(image), _is_transparent(image)
    image = ImageOps.exif_transpose(image)
    if deep:
        upper = np.clip(np.asarray(image), 0, 2**16 - 1) >> 8
        return Image.fromarray(upper.astype(np.uint8))
    if clear:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode == "P":
        image = image.convert("RGBA")
    return image.convert("L" if grey else "RGB")


def _has_16_bits(image: Image.Image) -> bool:
    """Tell whether an image has one channel of 16 bits; Pillow's mode I can mean 16 or 32."""
    wide = image.mode == "I" and image.format in ("PNG", "PPM")
    return wide or image.mode.startswith("I;16")


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L") or _has_16_bits(image)


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def fit(image: Image.Image, image_size: int | None) -> NDArray[np.uint8]:
    """Return an image of mode L or RGB as (h, w, c), resized and cropped about its centre."""
    if image_size is not None:
        image = ImageOps.fit(image, (image_size, image_size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def read_image(path: Path, shape: ImageShape) -> NDArray[np.uint8]:
    """Read an image file as uint8 (c, h, w), as the data of a training is read.

    It is turned upright, resized until it covers (h, w) and cropped about its centre; a grey
    network sees colours as grey, a colour network grey in each of three channels.

    Raises:
        DataError: If there is no image, see :func:`open_image`, or c is not 1 or 3.
    """
    if not path.is_file():
        raise DataError(f"There is no image {path}.")
    side = 2 * max(shape[1:])
    with quiet_pillow(), open_image(path) as image:
        image.draft(None, (side, side))
        upright = plain(image)
    return fit_to(upright, shape)


def fit_to(image: Image.Image, shape: ImageShape) -> NDArray[np.uint8]:
    """Bring an image of mode L or RGB to uint8 (c, h, w)."""
    channels, height, width = shape
    if channels not in (1, 3):
        raise DataError(f"The network takes {channels} channels, but image files have 1 or 3.")
    fitted = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = np.array(fitted.convert("L" if channels == 1 else "RGB"), np.uint8)
    planes: NDArray[np.uint8] = pixels.reshape(height, width, channels).transpose(2, 0, 1)
    return planes
