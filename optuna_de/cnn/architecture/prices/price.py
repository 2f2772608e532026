"""Price of a network: a number that a device sets, such as parameters, with its unit and format.

A price is minimised beside the error, or limited. One that is known before the training is exact
in screening.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from optuna_de._checks import require
from optuna_de.cnn.architecture.genomes import render
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.units import Unit

PriceFunction: TypeAlias = Callable[[Sequence[Unit], ImageShape, int], float]
_SUFFIXES = {
    "": {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9},
    "KiB": {"B": 1 / 1024, "kB": 1000 / 1024, "KiB": 1.0, "MB": 1e6 / 1024, "MiB": 1024.0},
    "ms": {"us": 1e-3, "ms": 1.0, "s": 1e3},
}
"""Suffixes of a number by the unit of its price, and what each is in that unit."""


@dataclass(frozen=True)
class Price:
    """Price of a network, in its unit; less is better.

    Args:
        name: As ``--objectives`` and ``--limit`` spell it.
        unit: Unit of the values; empty for counts.
        of: Computes the price from units, image shape ``(channels, height, width)`` and classes.
        known: Whether that is possible before the training, at no cost; else it is measured.
        spec: Format specification of a value, e.g. ``",.1f"``.

    Raises:
        ValueError: If the name is empty or holds one of ``,<=[]`` or white space.

    Example:
        >>> from optuna_de.cnn import parse
        >>> layers = Price("layers", "", lambda genome, shape, classes: len(genome))
        >>> layers.value(parse("B8k3-MP-GAP"), (3, 32, 32), 10)
        3.0
    """

    name: str
    unit: str
    of: PriceFunction
    known: bool = True
    spec: str = ",.0f"

    def __post_init__(self) -> None:
        plain = bool(self.name) and not any(c in ",<=[]" or c.isspace() for c in self.name)
        require(plain, "The name of a price", self.name, "a word without , < = [ ]")

    @property
    def metric(self) -> str:
        """The metric's name in a study: name and unit, ``latency [ms]``."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    def value(self, genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> float:
        """Return the price of a network.

        Raises:
            ValueError: If it is no finite number of at least 0.
        """
        value = float(self.of(genome, image_shape, classes))
        if not 0 <= value < math.inf:
            raise ValueError(
                f"The price {self.name} of {render(genome)} is {value}, but must be a finite "
                "number of 0 or more."
            )
        return value

    def text(self, value: float) -> str:
        """Return a value and its unit for people."""
        return f"{format(value, self.spec)} {self.unit}".rstrip()

    def amount(self, text: str) -> float:
        """Read an amount with a suffix, such as ``500k``, ``256KiB`` or ``5ms``.

        Raises:
            ValueError: If it is no number above 0 with a suffix of the price's unit.
        """
        suffixes = _SUFFIXES.get(self.unit, {self.unit: 1.0})
        number = text.rstrip("".join({c for suffix in suffixes for c in suffix}))
        factor = suffixes.get(text[len(number) :].strip())
        try:
            amount = float(number) * (factor or math.nan)
        except ValueError:
            amount = math.nan
        if not 0 < amount < math.inf:
            known = ", ".join(f"{unit or 'none'}" for unit in suffixes)
            raise ValueError(
                f"The limit {text!r} of {self.name} must be a number above 0 with one of these "
                f"suffixes: {known}."
            )
        return amount
