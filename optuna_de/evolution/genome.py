"""Sequence genomes and differential variation. Knows NumPy; knows neither Optuna nor torch.

A genome maps flat names to values and sequence names to tuples of units. Variation works on
values: a numeric gene moves in the unit interval of its transformed range, a categorical gene
and the kind of a unit follow the seed report's rule of difference and add.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol, TypeVar

Value = str | int | float | bool | None


class Unit(Protocol):
    """One position of a sequence: any frozen object that names its kind."""

    @property
    def kind(self) -> str:
        """Name of the kind; units of one kind have the same attributes."""
        ...


@dataclass(frozen=True, slots=True)
class Gene:
    """A unit as it is spelt in parameters: its kind and its named attributes, sorted by name."""

    kind: str
    attributes: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True)
class Genome:
    """Flat parameters beside named sequences of units; a value, never changed in place."""

    flat: Mapping[str, Value]
    sequences: Mapping[str, tuple[Gene, ...]]

    def spelling(self, names: Iterable[str] | None = None) -> Hashable:
        """Return what two genomes share if and only if they are equal, but for flat genes.

        Args:
            names: Flat genes that count, all by default. Choices that have no hash, such as
                lists, count as their text.
        """
        counted = sorted(self.flat if names is None else names)
        flat = tuple((name, _hashable(self.flat[name])) for name in counted)
        return flat, tuple(sorted(self.sequences.items()))


def _hashable(value: object) -> Hashable:
    return value if isinstance(value, str | int | float | None) else repr(value)


@dataclass(frozen=True, slots=True)
class Interval:
    """A numeric range ``[low, high]`` and its map to the unit interval.

    Args:
        low: Smallest value.
        high: Largest value.
        step: Distance of neighbouring values; ``None`` for a continuous range.
        log: Whether the map is logarithmic (``low > 0``).
        integer: Whether values are integers.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False
    integer: bool = False

    def to_unit(self, value: float) -> float:
        """Map a value of the range to ``[0, 1]``; grid values map to the centre of their cell."""
        low, high = self._edges()
        if high <= low:
            return 0.5
        if self.log:
            return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        return (value - low) / (high - low)

    def from_unit(self, unit: float) -> float:
        """Map a point of ``[0, 1]`` to the nearest value of the range."""
        return self.clip(self.unrounded(unit))

    def unrounded(self, unit: float) -> float:
        """Map a point of ``[0, 1]`` to a number that :meth:`clip` rounds to a value."""
        low, high = self._edges()
        if self.log:
            return math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))
        return low + unit * (high - low)

    @property
    def cell(self) -> float:
        """The mean distance of neighbouring values in ``[0, 1]``; 0 for a continuous range."""
        step = self.step or (1.0 if self.integer else 0.0)
        return step / (self.high - self.low + step) if step else 0.0

    def clip(self, value: float) -> float:
        """Return the value of the range (and of its grid) that is nearest to ``value``."""
        value = min(max(value, self.low), self.high)
        if self.step is None:
            return round(value) if self.integer else value
        cells = math.floor((self.high - self.low) / self.step + 1e-9)
        value = self.low + min(round((value - self.low) / self.step), cells) * self.step
        return round(value) if self.integer else min(value, self.high)

    def _edges(self) -> tuple[float, float]:
        """Return the range widened by half a grid cell at both ends."""
        half = (self.step or 0.0) / 2 if not self.log else (0.5 if self.integer else 0.0)
        return self.low - half, self.high + half


@dataclass(frozen=True, slots=True)
class Choices:
    """An unordered, finite range."""

    values: tuple[Value, ...]


Range = Interval | Choices
U = TypeVar("U", bound=Unit)


def difference(a: Sequence[U], b: Sequence[U]) -> tuple[U | None, ...]:
    """Subtract two sequences position by position (seed report, figure 3).

    Returns:
        One entry per position of the longer sequence: ``None`` ("keep") where the kinds agree,
        the unit that is there where one side is exhausted, else the unit of ``a``.
    """
    return tuple(_minus(x, y) for x, y in zip_longest(a, b))


def _minus(x: U | None, y: U | None) -> U | None:
    if x is None:
        return y
    return None if y is not None and x.kind == y.kind else x


def add(best: Sequence[U], delta: Sequence[U | None]) -> tuple[U, ...]:
    """Add a difference to a sequence, over the length of ``best`` only (seed report, figure 4)."""
    shorter = delta[: len(best)]
    return tuple(unit if d is None else d for unit, d in zip_longest(best, shorter))


def reflect(unit: float) -> float:
    """Fold a number back into ``[0, 1]`` at the bounds it passed."""
    folded = unit % 2.0
    return 2.0 - folded if folded > 1.0 else folded


def combine(best: Value, a: Value, b: Value, span: Range | None, scale: float) -> Value:
    """Differential mutation of one gene, ``best + scale * (a - b)`` (Storn and Price, 1997).

    Numeric genes (``span`` an interval) move in the unit interval and reflect at its ends.
    Other genes follow the seed's rule: ``best`` where ``a`` and ``b`` agree, else ``a``.
    """
    if a == b:
        return best
    if not isinstance(span, Interval):
        return a
    if scale == 0.0:
        return best
    base, plus, minus = (span.to_unit(v) for v in (best, a, b))  # type: ignore[arg-type]
    return span.from_unit(reflect(base + scale * (plus - minus)))
