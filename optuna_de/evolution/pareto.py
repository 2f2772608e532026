"""Pareto ranks, crowding distances, dominance and hypervolume. Losses are minimised.

Populations are small and sorted at every finished trial, so their ranks and distances are computed
on tuples, without NumPy. Functions of large arrays take ``(n, m)``: n individuals, m objectives.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import Enum
from functools import lru_cache
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]  # (n, m)
Point = tuple[float, ...]  # the m losses of one individual


def signs_of(directions: Iterable[Enum]) -> list[float]:
    """Return the signs that turn values into losses for Pareto ranks: -1 where maximised."""
    return [-1.0 if direction.name == "MAXIMIZE" else 1.0 for direction in directions]


def added_areas(front: Losses, candidates: Losses, reference: Losses) -> Losses:
    """Return the hypervolume, an area, that each of ``(k, 2)`` losses adds to ``(n, 2)``."""
    steps = front[np.lexsort((front[:, 1], front[:, 0]))]
    lefts = np.append(-np.inf, steps[:, 0])
    levels = np.minimum.accumulate(np.append(reference[1], steps[:, 1]))
    rights = np.minimum(np.append(lefts[1:], reference[0]), reference[0])
    widths = rights - np.maximum(lefts, candidates[:, :1])
    heights = levels - candidates[:, 1:]
    return np.asarray((np.maximum(widths, 0.0) * np.maximum(heights, 0.0)).sum(axis=1))


def added_volumes(front: Losses, candidates: Losses, reference: Losses) -> Losses:
    """Return the hypervolume that each of ``(k, 3)`` losses adds to ``(n, 3)``.

    Between two neighbouring third losses of the front it is an area times a height.
    """
    front = front[dominators(front) == 0]
    steps = front[np.argsort(front[:, 2], kind="stable")]
    floors = np.append(-np.inf, steps[:, 2])
    roofs = np.minimum(np.append(floors[1:], reference[2]), reference[2])
    added = np.zeros(len(candidates))
    for below, (floor, roof) in enumerate(zip(floors, roofs, strict=True)):
        heights = roof - np.maximum(floor, candidates[:, 2])
        if roof > floor and (heights > 0).any():
            areas = added_areas(steps[:below, :2], candidates[:, :2], reference[:2])
            added += areas * np.maximum(heights, 0.0)
    return added


def depths(incumbents: Losses, candidates: Losses) -> Losses:
    """Return by how much each candidate is dominated, 0 or less where it is not."""
    gaps = candidates[:, None, :] - incumbents[None, :, :]
    return np.asarray(gaps.min(axis=2).max(axis=1))


def dominators(losses: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the dominance of ``(n, m)`` losses: how many others dominate each."""
    no_worse = (losses[:, None, :] <= losses[None, :, :]).all(axis=2)  # (n, n)
    return np.asarray((no_worse & ~no_worse.T).sum(axis=0))


def pareto_order(points: Sequence[Point], ranks: Sequence[int] | None = None) -> list[int]:
    """Order by non-dominated rank, then by crowding distance, larger first (Deb et al., 2002).

    Args:
        points: The losses of n individuals.
        ranks: Their Pareto ranks, where they are known.

    Returns:
        The indices of n points, best first; ties keep their order.
    """
    ranks = pareto_ranks(points) if ranks is None else ranks
    fronts: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for i, rank in enumerate(ranks):
        fronts[rank].append(i)
    ordered: list[int] = []
    for front in fronts:
        if len(front) > 2:  # else all distances are infinite
            places = _crowding_order(tuple([points[i] for i in front]))
            ordered += [front[place] for place in places]
        else:
            ordered += front
    return ordered


@lru_cache(maxsize=64)
def _crowding_order(front: tuple[Point, ...]) -> list[int]:
    """Order a front by crowding distance; most fronts stay what they were at the last trial."""
    distances = crowding_distances(front)
    return sorted(range(len(front)), key=distances.__getitem__, reverse=True)  # stable, too


def pareto_ranks(points: Sequence[Point]) -> list[int]:
    """Return the Pareto ranks of ``(n, m)`` losses, 0 for the front."""
    if points and len(points[0]) == 2:
        return _ranks_in_plane(points)
    return _ranks(np.array(points, dtype=float))


def _ranks_in_plane(points: Sequence[Point]) -> list[int]:
    """Rank two objectives by one sort and a bisection per point (Jensen, 2003).

    In lexicographic order, a front dominates a new point if and only if its least second loss is
    not larger; these least losses increase from front to front.
    """
    ranks = [0] * len(points)
    least: list[float] = []
    last, rank = None, 0
    for i in sorted(range(len(points)), key=points.__getitem__):
        point = points[i]
        if point != last:
            last, rank = point, bisect_right(least, point[1])
            least[rank : rank + 1] = [point[1]]
        ranks[i] = rank
    return ranks


def _ranks(losses: Losses) -> list[int]:
    no_worse = (losses[:, None, :] <= losses[None, :, :]).all(axis=2)  # (n, n)
    dominates = no_worse & ~no_worse.T
    ranks = np.full(len(losses), -1)
    rank = 0
    while (open_ := ranks < 0).any():
        dominated = dominates[open_].any(axis=0)
        ranks[open_ & ~dominated] = rank
        rank += 1
    return [int(r) for r in ranks]


def crowding_distances(front: Sequence[Point]) -> list[float]:
    """Return the crowding distances of ``(n, m)`` losses, ``inf`` at the ends of an objective."""
    places = range(len(front))
    distances = [0.0] * len(front)
    for losses in zip(*front, strict=True):
        column = losses if isfinite(max(losses) - min(losses)) else bounded(losses)
        ranking = sorted(places, key=column.__getitem__)
        first, last = ranking[0], ranking[-1]
        span = column[last] - column[first]
        distances[first] = distances[last] = inf
        if span > 0:
            for before, i, after in zip(ranking, ranking[1:], ranking[2:], strict=False):
                distances[i] += (column[after] - column[before]) / span
    return distances


def bounded(losses: Sequence[float]) -> tuple[float, ...]:
    """Return losses of an objective with a finite span.

    Infinite ones count as the largest or smallest finite one; a span of floats that overflows is
    halved.
    """
    finite = [loss for loss in losses if isfinite(loss)] or [0.0]
    low, high = min(finite), max(finite)
    half = 1.0 if isfinite(high - low) else 0.5
    return tuple(half * min(max(loss, low), high) for loss in losses)
