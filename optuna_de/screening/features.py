"""Genomes as rows of numbers, for models of their losses. Knows NumPy; knows no model.

A category is one-hot, a number lies in the unit interval of its transformed range, and a missing
gene is a value of its own. A sequence gives its units position by position, then summaries that a
shift by one unit hardly moves: depth, share and mean position of each kind, course of each
attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from optuna_de.evolution.genome import Choices, Gene, Genome, Range, Value
from optuna_de.evolution.variation import Alphabet, Catalog

Array = NDArray[np.float64]
_HALF = 1 / sqrt(2)  # two one-hot columns differ: a change of category is a distance of 1
_ABSENT = -0.5


def features(genomes: Sequence[Genome], catalog: Catalog) -> Array:
    """Return one row per genome, shape ``(n, d)``, entries in ``[-0.5, 1]``; ``d`` depends on all.

    Args:
        genomes: The genomes, one or more; rows of different calls cannot be compared.
        catalog: The ranges of their genes.
    """
    blocks = [
        _flat([genome.flat.get(name) for genome in genomes], name, genomes, span)
        for name, span in catalog.flat.items()
    ]
    for name, alphabet in catalog.sequences.items():
        cells = _positions([g.sequences.get(name, ()) for g in genomes], alphabet)
        blocks += [cells.reshape(len(genomes), -1), _summaries(cells, len(_kinds(alphabet)))]
    rows = np.hstack(blocks) if blocks else np.zeros((len(genomes), 0))
    return rows[:, np.ptp(rows, axis=0) > 0]


def _flat(values: Sequence[Value], name: str, genomes: Sequence[Genome], span: Range) -> Array:
    held = [name in g.flat for g in genomes]
    if isinstance(span, Choices):
        slots = [span.values.index(v) if h else -1 for v, h in zip(values, held, strict=True)]
        return np.eye(len(span.values) + 1)[slots] * _HALF
    units = [span.to_unit(v) if h else _ABSENT for v, h in zip(values, held, strict=True)]  # type: ignore[arg-type]
    return np.array(units)[:, None]


def _positions(units: Sequence[Sequence[Gene]], alphabet: Alphabet) -> Array:
    """Return kinds, absence and attributes ``(n, depth, kinds + 1 + attributes)`` by position.

    Attributes of one name share a column; a kind that is not in the alphabet has none.
    """
    kinds, names = _kinds(alphabet), _attributes(alphabet)
    depth = max(1, *map(len, units))
    cells = np.zeros((len(units), depth, len(kinds) + 1 + len(names)))
    cells[:, :, len(kinds)] = _HALF
    cells[:, :, len(kinds) + 1 :] = _ABSENT
    for row, sequence in zip(cells, units, strict=True):
        for cell, unit in zip(row, sequence, strict=False):
            cell[len(kinds)] = 0.0
            if unit.kind in kinds:
                cell[kinds[unit.kind]] = _HALF
            for name, value in _numbers(unit, alphabet):
                cell[len(kinds) + 1 + names[name]] = value
    return cells


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


def _kinds(alphabet: Alphabet) -> dict[str, int]:
    names = dict.fromkeys(kind for allowed in alphabet.kinds for kind in allowed)
    return {name: i for i, name in enumerate(names)}


def _attributes(alphabet: Alphabet) -> dict[str, int]:
    names = sorted({name for spans in alphabet.attributes.values() for name in spans})
    return {name: i for i, name in enumerate(names)}


def _numbers(unit: Gene, alphabet: Alphabet) -> list[tuple[str, float]]:
    """Return the attributes as numbers; the place among its choices stands for a category."""
    spans: Mapping[str, Range] = alphabet.attributes.get(unit.kind, {})
    return [(n, _number(v, spans[n])) for n, v in unit.attributes if n in spans]


def _number(value: Value, span: Range) -> float:
    if isinstance(span, Choices):
        return span.values.index(value) / max(1, len(span.values) - 1)
    return span.to_unit(value)  # type: ignore[arg-type]
