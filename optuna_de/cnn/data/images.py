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

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
)
IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
"""Pillow's names of the formats that are opened, whatever a file is called.

Pillow also knows formats whose readers start other programs (PostScript: Ghostscript).
"""
_DEEP_MODES = ("I", "F")


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


def decode(path: Path, image_size: int | None) -> NDArray[np.uint8]:
    """Return one image, uint8 (h, w, 1) where it is grey, else (h, w, 3).

    Raises:
        DataError: If the file is not regular (a FIFO, a device), is no image of
            :data:`IMAGE_FORMATS`, has more than 8 bits a channel, or more than twice Pillow's
            ``MAX_IMAGE_PIXELS``.
    """
    try:
        if not path.is_file():
            raise DataError(f"{path} is not a regular file, so it is not opened.")
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            if image.mode.startswith(_DEEP_MODES):
                raise DataError(
                    f"{path} has more than 8 bits a channel (mode {image.mode}), but images "
                    f"must have 8."
                )
            return fit(_plain(image), image_size)
    except DataError:
        raise
    except Exception as error:  # of a hostile file Pillow's readers raise anything
        raise DataError(f"{path} cannot be read as an image ({type(error).__name__}).") from error


def _plain(image: Image.Image) -> Image.Image:
    """Return an image, upright, as L where it is grey without transparency, else as RGB."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("1", "L"):
        return image.convert("L")
    full = image.convert("RGBA") if image.mode == "P" else image
    return full.convert("RGB")


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
        DataError: Where there is no image, it has more than 8 bits a channel, or c is not 1 or 3.
    """
    if not path.is_file():
        raise DataError(f"There is no image {path}.")
    with quiet_pillow():
        pixels = decode(path, None)
    return fit_to(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), shape)


def fit_to(image: Image.Image, shape: ImageShape) -> NDArray[np.uint8]:
    """Bring an image of mode L or RGB to uint8 (c, h, w)."""
    channels, height, width = shape
    if channels not in (1, 3):
        raise DataError(f"The network takes {channels} channels, but image files have 1 or 3.")
    fitted = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = np.array(fitted.convert("L" if channels == 1 else "RGB"), np.uint8)
    planes: NDArray[np.uint8] = pixels.reshape(height, width, channels).transpose(2, 0, 1)
    return planes
