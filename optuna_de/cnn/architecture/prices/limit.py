"""Limit on a price: the most that a network may cost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from optuna_de._checks import require
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.prices.price import Price
from optuna_de.cnn.architecture.units import Unit


@dataclass(frozen=True)
class Limit:
    """Limit on a price.

    Args:
        price: The price.
        most: The largest value allowed, in the price's unit, above 0.

    Raises:
        ValueError: If ``most`` is not above 0.
    """

    price: Price
    most: float

    def __post_init__(self) -> None:
        require(self.most > 0, f"The limit of {self.price.name}", self.most, "above 0")

    def __str__(self) -> str:
        return f"{self.price.name}<={self.price.text(self.most).replace(' ', '')}"

    def excess(
        self, genome: Sequence[Unit], image_shape: ImageShape, classes: int
    ) -> tuple[float, str]:
        """Return by how much a network is over the limit, 0 if it is not, and the reason.

        Raises:
            ValueError: If the price is no finite number of at least 0.
        """
        value = self.price.value(genome, image_shape, classes)
        return max(0.0, value - self.most), (
            f"{self.price.name} {self.price.text(value)} is over the limit of "
            f"{self.price.text(self.most)}"
        )


def parse_limit(text: str, prices: Sequence[Price]) -> Limit:
    """Read a limit such as ``parameters<=500k`` or ``latency<=5ms``.

    Args:
        text: Name of a price, ``<=`` and a number with a suffix of its unit.
        prices: Prices that may be limited.

    Raises:
        ValueError: If the text is no limit, the price is unknown or the number is not above 0.

    Example:
        >>> from optuna_de.cnn.architecture.prices import PARAMETERS
        >>> parse_limit("parameters<=500k", [PARAMETERS]).most
        500000.0
    """
    found = re.fullmatch(r"\s*([^<=\s]+)\s*<=\s*(\S+)\s*", text)
    if found is None:
        raise ValueError(f"The limit {text!r} must read like parameters<=500k or latency<=5ms.")
    known = {price.name: price for price in prices}
    if found[1] not in known:
        raise ValueError(
            f"The limit {text!r} is on no known price; choose from {', '.join(known)}."
        )
    return Limit(known[found[1]], known[found[1]].amount(found[2]))
