"""What a candidate's losses are worth beside those of the incumbents. Knows NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def merits(
    incumbents: Array,
    candidates: Array,
    weights: Sequence[float] | None,
    rng: np.random.Generator,
) -> Array:
    """Return how much each of ``(k, m)`` candidates is worth beside ``(n, m)`` incumbents.

    One objective: the value; weights: the weighted sum; two objectives: the hypervolume that is
    added; more: the augmented Chebyshev sum of random weights (Knowles, 2006).
    """
    if weights is not None:
        return np.asarray(-(candidates @ np.asarray(weights, dtype=float)))
    match candidates.shape[1]:
        case 1:
            return -candidates[:, 0]
        case 2:
            added = added_areas(incumbents, candidates, np.array([1.1, 1.1]))
            useful = added.any() or not len(incumbents)
            return added if useful else -_depths(incumbents, candidates)
        case m:
            drawn = rng.dirichlet(np.ones(m))
            chebyshev = (candidates * drawn).max(axis=1)
            return np.asarray(-chebyshev - 0.05 * candidates @ drawn)


def added_areas(front: Array, candidates: Array, reference: Array) -> Array:
    """Return the area that each of ``(k, 2)`` candidates adds to that below ``(n, 2)``."""
    steps = front[np.lexsort((front[:, 1], front[:, 0]))]
    lefts = np.append(-np.inf, steps[:, 0])
    levels = np.minimum.accumulate(np.append(reference[1], steps[:, 1]))
    rights = np.minimum(np.append(lefts[1:], reference[0]), reference[0])
    widths = rights - np.maximum(lefts, candidates[:, :1])
    heights = levels - candidates[:, 1:]
    return np.asarray((np.maximum(widths, 0.0) * np.maximum(heights, 0.0)).sum(axis=1))


def _depths(incumbents: Array, candidates: Array) -> Array:
    """Return by how much each candidate is dominated, 0 or less where it is not."""
    gaps = candidates[:, None, :] - incumbents[None, :, :]
    return np.asarray(gaps.min(axis=2).max(axis=1))
