"""Limit on a price: the most that a network may cost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from optuna_de._checks import require
from optuna_de.cnn.architecture.prices.price import Price


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

    def excess(self, value: float) -> float:
        """Return by how much a value of the price is over the limit, 0 if it is not."""
        return max(0.0, value - self.most)

    def reason(self, value: float) -> str:
        """Return in words that a value is over the limit."""
        shown, most = self.price.text(value), self.price.text(self.most)
        return f"{self.price.name} {shown} is over the limit of {most}"


def parse_limit(text: str, prices: Sequence[Price]) -> Limit:
    """Read a limit on a price, the most that it may cost, such as ``parameters<=500k``.

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
    match = re.fullmatch(r"\s*([^<=\s]+)\s*<=\s*(\S+)\s*", text)
    if match is None:
        raise ValueError(f"The limit {text!r} must read like parameters<=500k or latency<=5ms.")
    known = {price.name: price for price in prices}
    if match[1] not in known:
        raise ValueError(
            f"The limit {text!r} is on no known price; choose from {', '.join(known)}."
        )
    return Limit(known[match[1]], known[match[1]].amount(match[2]))
