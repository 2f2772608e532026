"""Genomes: genes, units, ranges (intervals, choices), and the difference and sum of sequences.

A genome maps flat names to values and sequence names to tuples of units. Variation works on
values: a numeric gene moves in the unit interval of its transformed range, a categorical gene
and the kind of a unit follow the seed report's rule of difference and add.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from numbers import Real
from typing import Protocol, TypeVar

Value = str | int | float | bool | None


class Unit(Protocol):
    """Unit of a sequence in a genome: any frozen object that names its kind."""

    @property
    def kind(self) -> str:
        """Name of the kind; units of one kind have the same attributes."""
        ...


@dataclass(frozen=True, slots=True)
class Gene:
    """Gene of a genome: a unit as its kind and its attributes, sorted by name."""

    kind: str
    attributes: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True)
class Genome:
    """Genome: flat genes and sequences of units; a value, never changed in place."""

    flat: Mapping[str, Value]
    sequences: Mapping[str, tuple[Gene, ...]]

    def spelling(self, names: Iterable[str] | None = None) -> Hashable:
        """Return what two genomes share if and only if they are equal.

        Args:
            names: Flat genes that count, all by default. Values without a hash, such as lists
                among choices, count as their text.
        """
        flat = self.flat if names is None else {name: self.flat[name] for name in names}
        try:
            return frozenset(flat.items()), frozenset(self.sequences.items())
        except TypeError:
            text = repr(sorted(self.sequences.items()))
            return frozenset((name, _hashable(v)) for name, v in flat.items()), text


def _hashable(value: object) -> Hashable:
    return value if isinstance(value, str | int | float | None) else repr(value)


NAN = math.nan


def without_nan(value: Value) -> Value:
    """Return a value, with one object for all NaN: Python finds it equal to itself in containers.

    Optuna takes NaN among choices as equal, too.
    """
    return NAN if value != value and isinstance(value, Real) else value


def agree(a: Value, b: Value) -> bool:
    """Return whether two values are equal; NaN equals NaN."""
    return a == b or (a is NAN and b is NAN)


@dataclass(frozen=True, slots=True)
class Interval:
    """Interval: the range of a numeric gene, mapped to [0, 1].

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
        """Map a value to ``[0, 1]``; values on a grid map to the centre of their cell.

        Values beyond the range, as users may enqueue them, map to its ends.
        """
        low, high = self._edges()
        if not low < high:
            return 0.5
        if math.isinf(high - low):
            return self._halved().to_unit(value / 2)
        value = min(max(low, value), high)
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
        if math.isinf(high - low):
            return 2 * self._halved().unrounded(unit)
        return low + unit * (high - low)

    @property
    def cell(self) -> float:
        """The mean distance of neighbouring values in ``[0, 1]``; 0 for a continuous range."""
        step = self.step or (1.0 if self.integer else 0.0)
        return 1 / (self.high / step - self.low / step + 1) if step else 0.0

    def clip(self, value: float) -> float:
        """Return the value of the range (and of its grid) that is nearest to ``value``."""
        value = min(max(self.low, value), self.high)
        if self.step is None:
            return round(value) if self.integer else value
        if math.isinf(self.high - self.low):
            return 2 * self._halved().clip(value / 2)
        cells = math.floor((self.high - self.low) / self.step + 1e-9)
        value = self.low + min(round((value - self.low) / self.step), cells) * self.step
        return round(value) if self.integer else min(value, self.high)

    def _edges(self) -> tuple[float, float]:
        """Return the range widened by half a grid cell at both ends."""
        half = (self.step or 0.0) / 2 if not self.log else (0.5 if self.integer else 0.0)
        return self.low - half, self.high + half

    def _halved(self) -> Interval:
        """Return the range at half the scale, for ranges whose span overflows floats."""
        step = None if self.step is None else self.step / 2
        return replace(self, low=self.low / 2, high=self.high / 2, step=step)


@dataclass(frozen=True, slots=True)
class Choices:
    """Choices: the unordered, finite range of a gene."""

    values: tuple[Value, ...]


Range = Interval | Choices
U = TypeVar("U", bound=Unit)


def difference(a: Sequence[U], b: Sequence[U]) -> tuple[U | None, ...]:
    """Return the difference of two sequences of units, by position (seed report, figure 3).

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
    if agree(a, b):
        return best
    if not isinstance(span, Interval):
        return a
    if scale == 0.0:
        return best
    base, plus, minus = (span.to_unit(v) for v in (best, a, b))  # type: ignore[arg-type]
    return span.from_unit(reflect(base + scale * (plus - minus)))
