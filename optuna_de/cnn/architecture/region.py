"""Region of interest: the sizes and errors among which a person looks for a network. No torch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise

from optuna_de._checks import require
from optuna_de.cnn.architecture.layers import ImageShape

SPAN = 50
"""Largest by smallest size of a region of which only one end is given."""
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([kM]?)")
_UNITS = {"": 1, "k": 1_000, "M": 1_000_000}
_TEXT = re.compile(r"([\d,]+) to ([\d,]+) parameters, error up to ([\d.]+) %")


@dataclass(frozen=True, slots=True)
class Region:
    """Region of interest of a search: networks outside of it count nothing.

    Args:
        min_parameters: Fewest trainable parameters, at least 1.
        max_parameters: Most, at least ``min_parameters``.
        max_error: Largest validation error rate, above 0 and at most 1.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> Region(20_000, 1_000_000, 0.45).text
        '20,000 to 1,000,000 parameters, error up to 45.00 %'
    """

    min_parameters: int
    max_parameters: int
    max_error: float = 1.0

    def __post_init__(self) -> None:
        low, high, error = self.min_parameters, self.max_parameters, self.max_error
        require(low >= 1, "the fewest parameters of a region", low, "at least 1")
        require(high >= low, "the most parameters of a region", high, f"at least {low:,}")
        require(0 < error <= 1, "max_error", error, "above 0 and at most 1")

    @property
    def text(self) -> str:
        """The region in words, as a study records it."""
        sizes = f"{self.min_parameters:,} to {self.max_parameters:,} parameters"
        return f"{sizes}, error up to {self.max_error:.2%}".replace("%", " %")

    def has_size(self, parameters: float) -> bool:
        """Return whether a network of so many parameters lies in the region."""
        return self.min_parameters <= parameters <= self.max_parameters

    def bands(self, factor: float = 3.0) -> tuple[tuple[int, int], ...]:
        """Return bands of sizes from small to large, each about a factor from end to end.

        Each is ``(from, to)`` parameters; a network of ``to`` belongs to the next, but in the
        last.
        """
        low, high = self.min_parameters, self.max_parameters
        count = max(1, round(math.log(high / low) / math.log(factor)))
        ends = [round(low * (high / low) ** (i / count)) for i in range(count + 1)]
        return tuple(pairwise(ends))


def read_region(text: object) -> Region | None:
    """Return the region that a study records as :attr:`Region.text`; None for anything else."""
    match = _TEXT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    low, high = (int(match[i].replace(",", "")) for i in (1, 2))
    try:
        return Region(low, high, float(match[3]) / 100)
    except ValueError:
        return None


def parse_size(text: str) -> int:
    """Return a number of parameters from a text such as ``50k``.

    Raises:
        ValueError: If it is none, or below 1.
    """
    match = _NUMBER.fullmatch(text.strip())
    size = round(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size < 1:
        raise ValueError(f"A number of parameters must be like 50k or 1M, but is {text!r}.")
    return size


def parse_sizes(text: str) -> tuple[int, int]:
    """Return the ends of a region's sizes from a text such as ``20k,1M``.

    Raises:
        ValueError: If it is not two numbers, the smaller one first.
    """
    try:
        low, high = map(parse_size, text.split(","))
    except ValueError:
        low, high = 1, 0
    if low > high:
        raise ValueError(
            f"between must be two numbers of parameters such as 20k,1M, but is {text!r}."
        )
    return low, high


def default_region(image_shape: ImageShape, classes: int, images: int, error: float) -> Region:
    """Return the region of a task that nobody gave: sizes that its images can train.

    The largest size is 20 parameters for each training image, within 100,000 and 5 million for
    32x32 images and in proportion to the side for others (a quarter to four times); the smallest
    is a fiftieth of it and at least 100 parameters a class. Both are rounded to 1, 2 or 5 times a
    power of ten. The error is half of that of a constant answer.

    Args:
        image_shape: ``(channels, height, width)``.
        classes: Number of classes.
        images: Images of the training split.
        error: Validation error of always giving the same answer.
    """
    scale = min(max(min(image_shape[1:]) / 32, 0.25), 4.0)
    most = min(max(20 * images, 100_000 * scale), 5_000_000 * scale)
    least = max(most / SPAN, 100 * classes)
    return Region(_rounded(least), max(_rounded(most), 10 * _rounded(least)), max(error / 2, 0.01))


def _rounded(size: float) -> int:
    """Return the nearest of 1, 2 and 5 times a power of ten, on a logarithmic scale."""
    power = int(10 ** math.floor(math.log10(size)))
    return min((n * power for n in (1, 2, 5, 10)), key=lambda n: abs(math.log(n / size)))
