"""JPEG files decoded at full size by simplejpeg, in a third of Pillow's time where they are small.

Both call libjpeg-turbo, so the pixels are the same. Whatever is not plain (damage, EXIF, CMYK) is
left to Pillow, and so is what Pillow decodes at a part of its size.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

try:
    import simplejpeg
except ImportError:  # a decoder that the extra "data" has
    simplejpeg = None

Shape: TypeAlias = tuple[int, int, int]
_START, _EXIF = b"\xff\xd8\xff", b"Exif\0\0"
_CHANNELS = {"Gray": 1, "YCbCr": 3}


def jpeg_shape(data: bytes) -> Shape | None:
    """Return the shape (h, w, c) of a plain JPEG file; None for what is left to Pillow.

    Args:
        data: Content of any file.
    """
    if simplejpeg is None or not data.startswith(_START) or _EXIF in data[: 2**16]:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    if colours not in _CHANNELS or height * width > (Image.MAX_IMAGE_PIXELS or 0):
        return None
    return height, width, _CHANNELS[colours]


def decode_jpeg(data: bytes, least: tuple[int, int] | None) -> NDArray[np.uint8] | None:
    """Return the pixels (h, w, c) of a plain JPEG file; None for what is left to Pillow.

    Args:
        data: Content of any file.
        least: Height and width of which the half of the image, or less, would do; None if the
            whole image is needed.
    """
    shape = jpeg_shape(data)
    if shape is None or (
        least is not None and shape[0] >= 2 * least[0] and shape[1] >= 2 * least[1]
    ):
        return None
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, "GRAY" if shape[2] == 1 else "RGB", strict=True
        )
    except ValueError:
        return None
    return pixels
