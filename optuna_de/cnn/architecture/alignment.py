"""Alignment of two genomes: which unit of a parent became which unit of its child? No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from optuna_de.cnn.architecture.units import Unit


def align(child: Sequence[Unit], parent: Sequence[Unit]) -> tuple[int | None, ...]:
    """Return, for each unit of a child, the place of the parent's unit that it continues.

    Units of one kind may be paired, in order; the pairing of the greatest total similarity is
    found by dynamic programming (Needleman and Wunsch, 1970), gaps costing nothing.

    Args:
        child: Units without a head.
        parent: Units without a head.

    Returns:
        Ascending places in the parent, None for a new unit.

    Example:
        >>> align(parse("B8k3-R8k3-MP"), parse("B8k3-MP"))
        (0, None, 1)
    """
    gains = np.array([[similarity(own, old) for old in parent] for own in child])
    gains = gains.reshape(len(child), len(parent))
    best = np.zeros((len(child) + 1, len(parent) + 1))
    for i in range(len(child)):
        for j in range(len(parent)):
            paired = best[i, j] + gains[i, j]
            best[i + 1, j + 1] = max(paired, best[i, j + 1], best[i + 1, j])
    places: list[int | None] = [None] * len(child)
    i, j = len(child), len(parent)
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            places[i] = j
    return tuple(places)


def similarity(own: Unit, old: Unit) -> float:
    """Return how alike two units are: 0 for different kinds, 2 for equal ones."""
    if type(own) is not type(old):
        return 0.0
    ratios = []
    for field in fields(own):  # type: ignore[arg-type]
        a, b = getattr(own, field.name), getattr(old, field.name)
        ratios.append((1 + min(a, b)) / (1 + max(a, b)))
    return 1.0 + (sum(ratios) / len(ratios) if ratios else 1.0)
