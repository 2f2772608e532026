"""Order and survivors of an array of losses: weighted or Pareto. Knows NumPy only.

Losses are minimised and have the shape ``(n, m)``: n individuals, m objectives.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optuna_de.evolution.pareto import Indices, Losses, clip_infinite, pareto_order


def order(
    losses: Losses,
    *,
    weights: Sequence[float] | None = None,
    violations: NDArray[np.float64] | None = None,
) -> Indices:
    """Return the indices of all individuals, best first; ties keep their order.

    Args:
        losses: Shape ``(n, m)``, minimised; infinite values count as worst (best where negative).
        weights: Shape ``(m,)``: order by the weighted sum of normalised losses. ``None``: by
            Pareto rank, then spread; by value where ``m == 1``.
        violations: Shape ``(n,)``, 0 where feasible: feasible individuals come first, the others
            by least violation (Deb, 2000).
    """
    if weights is not None:
        ranking = np.argsort(weighted_scores(losses, weights), kind="stable")
    elif losses.shape[1] == 1:
        ranking = np.argsort(losses[:, 0], kind="stable")
    else:
        ranking = pareto_order(losses)
    if violations is None or not violations.any():
        return ranking
    return ranking[np.argsort(violations[ranking], kind="stable")]


def weighted_scores(losses: Losses, weights: Sequence[float]) -> NDArray[np.float64]:
    """Return ``sum_j w_j * norm(loss_j)`` with min-max normalisation (seed report, section 3).

    An objective whose values are all equal adds 0. Infinite values count as the largest or
    smallest finite one.
    """
    finite = clip_infinite(losses)
    low = finite.min(axis=0)
    span = finite.max(axis=0) - low
    normed = (finite - low) / np.where(span > 0, span, 1.0)
    return np.asarray(normed @ np.asarray(weights, dtype=float))
