"""Resizing: the size, mode and background by which images become alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from optuna_de._checks import require

Size = tuple[int, int]
ResizeMode = Literal["crop", "pad", "squash"]
LARGEST_DEFAULT = 64
"""Pixels of the largest side that :func:`default_size` chooses."""
_LARGEST = 4096


@dataclass(frozen=True, slots=True)
class Resizing:
    """Resizing of images to one size.

    Args:
        size: Height and width (h, w); None leaves images as they are.
        mode: "crop" resizes until the image covers the size and crops about the centre; "pad"
            resizes until it fits in and fills the rest with the background; "squash" resizes each
            side by itself.
        background: Colour (r, g, b) under transparent pixels and around padded images.
    """

    size: Size | None = None
    mode: ResizeMode = "crop"
    background: tuple[int, int, int] = (255, 255, 255)

    def __post_init__(self) -> None:
        require(self.mode in get_args(ResizeMode), "resize", self.mode, "crop, pad or squash")
        if self.size is not None:
            right = all(2 <= side <= _LARGEST for side in self.size)
            allowed = f"2 to {_LARGEST} pixels a side"
            require(right, "image_size", size_text(self.size), allowed)

    def described(self) -> dict[str, str]:
        """Return mode and background as texts, where they are not "crop" and white."""
        colour = "#{:02x}{:02x}{:02x}".format(*self.background)
        texts = {"resize": self.mode, "background": colour}
        return {name: text for name, text in texts.items() if text not in ("crop", "#ffffff")}

    def fit(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return an image of mode L or RGB as uint8 (h, w, c)."""
        if self.size is not None:
            image = self._fitted(image, (self.size[1], self.size[0]))
        pixels = np.asarray(image)
        return pixels[..., None] if pixels.ndim == 2 else pixels

    def _fitted(self, image: Image.Image, size: Size) -> Image.Image:
        if image.size == size:
            return image
        smooth = Image.Resampling.BILINEAR
        if self.mode == "crop":
            return ImageOps.fit(image, size, smooth)
        if self.mode == "squash":
            return image.resize(size, smooth)
        around = Image.new("RGB", (1, 1), self.background).convert(image.mode).getpixel((0, 0))
        return ImageOps.pad(image, size, smooth, color=around)  # type: ignore[arg-type]


def parse_size(text: str) -> int | Size:
    """Return the size of a resizing from its text: "64" or "96x64" (width x height).

    Returns:
        The side of a square, or height and width.

    Raises:
        ValueError: If it is no such text.
    """
    sides = text.lower().replace("\u00d7", "x").split("x")
    if not 1 <= len(sides) <= 2 or not all(side.strip().isdecimal() for side in sides):
        raise ValueError(f"image_size is {text!r}, but must be like 64 or 96x64 (width x height).")
    numbers = [int(side) for side in sides]
    return numbers[0] if len(numbers) == 1 else (numbers[1], numbers[0])


def described_resizing(content: Mapping[str, Any]) -> Resizing:
    """Return a resizing of a mode and a background that :meth:`Resizing.described` gave.

    Raises:
        ValueError: If they are something else.
    """
    mode, background = content.get("resize", "crop"), content.get("background", "#ffffff")
    return Resizing(None, mode, parse_background(str(background)))


def size_text(size: Sequence[int]) -> str:
    """Return height and width as the text "widthxheight", which :func:`parse_size` reads."""
    return f"{size[1]}x{size[0]}"


def parse_background(text: str) -> tuple[int, int, int]:
    """Return the background (r, g, b) of a resizing from "white" or "#ffffff".

    Raises:
        ValueError: If it is no colour.
    """
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        raise ValueError(
            f"background is {text!r}, but must be a colour such as white, black or #808080."
        ) from None
    return red, green, blue


def default_size(shapes: NDArray[np.int64]) -> Size | None:
    """Return the default size of a resizing: none where sizes agree, else a square.

    Its side is the median smaller side, at most 64.

    Args:
        shapes: Height and width of each image, (n, 2) or wider.
    """
    sizes = shapes[:, :2]
    if len(sizes) == 0 or (sizes == sizes[0]).all():
        return None
    side = max(2, min(LARGEST_DEFAULT, int(np.median(sizes.min(axis=1)))))
    return side, side
