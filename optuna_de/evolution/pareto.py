"""Pareto ranks, crowding distances, dominance and hypervolume of arrays of losses. NumPy only.

Losses are minimised and have the shape ``(n, m)``: n individuals, m objectives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]  # (n, m)
Indices = NDArray[np.intp]  # (n,)


def added_areas(front: Losses, candidates: Losses, reference: Losses) -> Losses:
    """Return the area that each of ``(k, 2)`` candidates adds to that below ``(n, 2)``."""
    steps = front[np.lexsort((front[:, 1], front[:, 0]))]
    lefts = np.append(-np.inf, steps[:, 0])
    levels = np.minimum.accumulate(np.append(reference[1], steps[:, 1]))
    rights = np.minimum(np.append(lefts[1:], reference[0]), reference[0])
    widths = rights - np.maximum(lefts, candidates[:, :1])
    heights = levels - candidates[:, 1:]
    return np.asarray((np.maximum(widths, 0.0) * np.maximum(heights, 0.0)).sum(axis=1))


def depths(incumbents: Losses, candidates: Losses) -> Losses:
    """Return by how much each candidate is dominated, 0 or less where it is not."""
    gaps = candidates[:, None, :] - incumbents[None, :, :]
    return np.asarray(gaps.min(axis=2).max(axis=1))


def dominators(losses: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return how many others dominate each of n individuals, (n,), of losses (n, m)."""
    no_worse = (losses[:, None, :] <= losses[None, :, :]).all(axis=2)  # (n, n)
    return np.asarray((no_worse & ~no_worse.T).sum(axis=0))


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
    finite = clip_infinite(losses)
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


def clip_infinite(losses: Losses) -> NDArray[Any]:
    """Replace infinite values by the largest or smallest finite value of their objective."""
    if np.isfinite(losses).all():
        return losses
    known = np.where(np.isfinite(losses), losses, np.nan)
    known[0, np.isnan(known).all(axis=0)] = 0.0
    return np.clip(losses, np.nanmin(known, axis=0), np.nanmax(known, axis=0))
