"""Acquisition values: the gain of a candidate's losses over the evaluated ones. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optuna_de.evolution.pareto import added_areas, added_volumes, depths

Array = NDArray[np.float64]


def acquisition_values(
    incumbents: Array,
    candidates: Array,
    weights: Sequence[float] | None,
    rng: np.random.Generator,
) -> Array:
    """Return the acquisition value of each of ``(k, m)`` candidates, given ``(n, m)`` incumbents.

    One objective: the value; weights: the weighted sum; two or three objectives: the hypervolume
    that is added; more: the augmented Chebyshev sum of random weights (Knowles, 2006).
    """
    if weights is not None:
        return np.asarray(-(candidates @ np.asarray(weights, dtype=float)))
    match candidates.shape[1]:
        case 1:
            return -candidates[:, 0]
        case 2 | 3 as m:
            volumes = added_areas if m == 2 else added_volumes
            added = volumes(incumbents, candidates, np.full(m, 1.1))
            useful = added.any() or not len(incumbents)
            return added if useful else -depths(incumbents, candidates)
        case m:
            drawn = rng.dirichlet(np.ones(m))
            chebyshev = (candidates * drawn).max(axis=1)
            return np.asarray(-chebyshev - 0.05 * candidates @ drawn)
