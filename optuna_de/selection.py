"""Order and survivors of an array of losses: weighted or Pareto. Knows NumPy only.

Losses are minimised and have the shape ``(n, m)``: n individuals, m objectives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]  # (n, m)
Indices = NDArray[np.intp]  # (n,)


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
    finite = _finite(losses)
    low = finite.min(axis=0)
    span = finite.max(axis=0) - low
    normed = (finite - low) / np.where(span > 0, span, 1.0)
    return np.asarray(normed @ np.asarray(weights, dtype=float))


def pareto_order(losses: Losses) -> Indices:
    """Order by non-dominated rank, then by crowding distance, larger first (Deb et al., 2002)."""
    ranks = pareto_ranks(losses)
    spread = np.empty(len(losses))
    for rank in range(int(ranks.max(initial=-1)) + 1):
        members = ranks == rank
        spread[members] = crowding_distances(losses[members])
    return np.lexsort((-spread, ranks))


def pareto_ranks(losses: Losses) -> Indices:
    """Return each individual's non-dominated rank, 0 for the front; shape ``(n,)``."""
    no_worse = (losses[:, None, :] <= losses[None, :, :]).all(axis=2)  # (n, n)
    dominates = no_worse & ~no_worse.T
    ranks = np.full(len(losses), -1)
    rank = 0
    while (open_ := ranks < 0).any():
        dominated = dominates[open_].any(axis=0)
        ranks[open_ & ~dominated] = rank
        rank += 1
    return ranks


def crowding_distances(losses: Losses) -> NDArray[np.float64]:
    """Return the crowding distance of each individual, ``inf`` at the ends of an objective."""
    finite = _finite(losses)
    n = len(finite)
    distances = np.zeros(n)
    for column in finite.T:
        ranking = np.argsort(column, kind="stable")
        values = column[ranking]
        span = values[-1] - values[0]
        distances[ranking[[0, -1]]] = np.inf
        if n > 2 and span > 0:
            distances[ranking[1:-1]] += (values[2:] - values[:-2]) / span
    return distances


def _finite(losses: Losses) -> NDArray[Any]:
    """Replace infinite values by the largest or smallest finite value of their objective."""
    if np.isfinite(losses).all():
        return losses
    known = np.where(np.isfinite(losses), losses, np.nan)
    known[0, np.isnan(known).all(axis=0)] = 0.0
    return np.clip(losses, np.nanmin(known, axis=0), np.nanmax(known, axis=0))
