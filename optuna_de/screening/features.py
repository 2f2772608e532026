"""Feature vectors of genomes for the surrogate model. NumPy only.

A category is one-hot, a number lies in the unit interval of its transformed range, and a missing
gene is a value of its own. A sequence gives its units position by position, then summaries that
change little when a unit is inserted: depth, share and mean position of each kind, course of each
attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_de.evolution.genome import Choices, Gene, Genome, Range, Value
from optuna_de.evolution.variation import Alphabet, Catalog

Array = NDArray[np.float64]
_HALF = 1 / sqrt(2)  # two one-hot columns differ: a change of category is a distance of 1
_ABSENT = -0.5
_MOST_UNITS = 20_000  # of a table, a few MiB


class UnitFeatureCache:
    """Rows of the units of a sequence, each computed once; a disposable cache.

    A row has one entry per kind, one for absence and one per attribute name. Attributes of one
    name share an entry; a kind that is not in the alphabet has none.

    Args:
        alphabet: The kinds and the ranges of their attributes.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        names = sorted({name for spans in alphabet.attributes.values() for name in spans})
        kinds = dict.fromkeys(kind for allowed in alphabet.kinds for kind in allowed)
        self.kinds = {name: i for i, name in enumerate(kinds)}
        self._columns = {name: len(kinds) + 1 + i for i, name in enumerate(names)}
        self._absent: Array = np.full(len(kinds) + 1 + len(names), _ABSENT)
        self._absent[: len(kinds)], self._absent[len(kinds)] = 0.0, _HALF
        self._clear()

    def _clear(self) -> None:
        self._rows = self._absent[None]  # and as many again each time they are used up
        self._index: dict[tuple[Any, ...], int] = {}

    def positions(self, sequences: Sequence[Sequence[Gene]]) -> Array:
        """Return rows ``(n, depth, kinds + 1 + attributes)`` by position; depth is the largest."""
        if len(self._index) > _MOST_UNITS:
            self._clear()
        places = np.zeros((len(sequences), max(1, *map(len, sequences))), dtype=np.intp)
        for row, units in zip(places, sequences, strict=True):
            row[: len(units)] = [self._place(unit) for unit in units]
        cells: Array = self._rows[places]
        return cells

    def _place(self, unit: Gene) -> int:
        name = unit.kind, unit.attributes
        place = self._index.get(name)
        if place is None:
            place = self._index[name] = len(self._index) + 1
            if place == len(self._rows):
                self._rows = np.vstack([self._rows, np.empty_like(self._rows)])
            self._rows[place] = self._row(unit)
        return place

    def _row(self, unit: Gene) -> Array:
        row: Array = self._absent.copy()
        row[len(self.kinds)] = 0.0
        if unit.kind in self.kinds:
            row[self.kinds[unit.kind]] = _HALF
        spans: Mapping[str, Range] = self.alphabet.attributes.get(unit.kind, {})
        for name, value in unit.attributes:
            if name in spans:
                row[self._columns[name]] = _number(value, spans[name])
        return row


Tables = dict[str, UnitFeatureCache]


def features(genomes: Sequence[Genome], catalog: Catalog, tables: Tables | None = None) -> Array:
    """Return one row per genome, shape ``(n, d)``, entries in ``[-0.5, 1]``; ``d`` depends on all.

    Args:
        genomes: The genomes, one or more; rows of different calls cannot be compared.
        catalog: The ranges of their genes.
        tables: Tables of the catalog's sequences by name; those that are missing are added.
    """
    tables = {} if tables is None else tables
    blocks = [
        _flat([genome.flat.get(name) for genome in genomes], name, genomes, span)
        for name, span in catalog.flat.items()
    ]
    for name, alphabet in catalog.sequences.items():
        table = tables.setdefault(name, UnitFeatureCache(alphabet))
        cells = table.positions([g.sequences.get(name, ()) for g in genomes])
        blocks += [cells.reshape(len(genomes), -1), _summaries(cells, len(table.kinds))]
    rows = np.hstack(blocks) if blocks else np.zeros((len(genomes), 0))
    return rows[:, np.ptp(rows, axis=0) > 0]


def _flat(values: Sequence[Value], name: str, genomes: Sequence[Genome], span: Range) -> Array:
    held = [name in g.flat for g in genomes]
    if isinstance(span, Choices):
        slots = [span.values.index(v) if h else -1 for v, h in zip(values, held, strict=True)]
        return np.eye(len(span.values) + 1)[slots] * _HALF
    units = [span.to_unit(v) if h else _ABSENT for v, h in zip(values, held, strict=True)]  # type: ignore[arg-type]
    return np.array(units)[:, None]


def _summaries(cells: Array, kinds: int) -> Array:
    """Return depth; share and mean position by kind; mean, largest, first, last by attribute.

    Depth and shares are those of the deepest sequence at hand, positions of the own length.
    """
    of_kind, values = cells[:, :, :kinds] > 0, cells[:, :, kinds + 1 :]
    held, depth = values != _ABSENT, cells.shape[1]
    lengths, counts = (cells[:, :, kinds] == 0).sum(axis=1), of_kind.sum(axis=1)
    places = np.arange(depth)[:, None] / np.maximum(lengths, 1)[:, None, None]
    last = depth - 1 - held[:, ::-1].argmax(axis=1)
    return np.hstack(
        [
            lengths[:, None] / depth,
            counts / depth,
            _mean(places, of_kind),
            _mean(values, held),
            values.max(axis=1),
            *(np.take_along_axis(values, at[:, None], 1)[:, 0] for at in (held.argmax(1), last)),
        ]
    )


def _mean(values: Array, held: NDArray[np.bool_]) -> Array:
    """Return the means ``(n, k)`` of the values that are held, of ``(n, depth, k)``."""
    number = held.sum(axis=1)
    return np.where(number > 0, (values * held).sum(axis=1) / np.maximum(number, 1), _ABSENT)


def _number(value: Value, span: Range) -> float:
    """Return an attribute as a number; the place among its choices stands for a category."""
    if isinstance(span, Choices):
        return span.values.index(value) / max(1, len(span.values) - 1)
    return span.to_unit(value)  # type: ignore[arg-type]
