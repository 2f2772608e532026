"""Small image folders for the tests of data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def paint(
    folder: Path,
    classes: Sequence[str] = ("ant", "bee"),
    *,
    n: int = 10,
    side: tuple[int, int] = (6, 4),
    mode: str = "RGB",
    part: str = "train",
    seed: int = 0,
) -> Path:
    """Write ``n`` PNG files a class of random pixels, ``side`` wide and high."""
    rng = np.random.default_rng([seed, len(part)])
    for name in classes:
        place = folder / part / name
        place.mkdir(parents=True, exist_ok=True)
        for i in range(n):
            pixels = rng.integers(0, 256, (side[1], side[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(place / f"{i}.png")
    return folder
