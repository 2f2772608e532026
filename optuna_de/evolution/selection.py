"""Order of a population: feasible first, then by weighted sum or Pareto rank."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import isfinite
from operator import le

from optuna_de.evolution.pareto import (
    Point,
    bounded,
    pareto_order,
    pareto_ranks,
)

Test = Callable[[Point], bool]


def order(
    points: Sequence[Point],
    *,
    weights: Sequence[float] | None = None,
    violations: Sequence[float] | None = None,
    ranks: Sequence[int] | None = None,
) -> list[int]:
    """Return the indices of all individuals, best first; ties keep their order.

    Args:
        points: The losses of n individuals, m each; infinite values count as worst (best where
            negative).
        weights: One per objective: order by the weighted sum of normalised losses. ``None``: by
            Pareto rank, then spread; by value if there is one objective.
        violations: One per individual, 0 if feasible: feasible individuals come first, the others
            by least violation (Deb, 2000).
        ranks: Pareto ranks of the points, where they are known.
    """
    if weights is not None:
        scores = weighted_scores(points, weights)
        ranking = sorted(range(len(points)), key=scores.__getitem__)
    elif points and len(points[0]) == 1:
        ranking = sorted(range(len(points)), key=points.__getitem__)
    else:
        ranking = pareto_order(points, ranks)
    if violations is not None and any(violations):
        ranking.sort(key=violations.__getitem__)
    return ranking


def weighted_scores(points: Sequence[Point], weights: Sequence[float]) -> list[float]:
    """Return the weighted sums of losses, ``sum_j w_j * norm(loss_j)`` (seed report, section 3).

    An objective whose values are all equal adds 0. Infinite values count as the largest or
    smallest finite one.
    """
    scores = [0.0] * len(points)
    for losses, weight in zip(zip(*points, strict=True), weights, strict=True):
        column = losses if isfinite(max(losses) - min(losses)) else bounded(losses)
        low = min(column)
        span = max(column) - low or 1.0
        for i, loss in enumerate(column):
            scores[i] += weight * ((loss - low) / span)
    return scores


def comes_last(
    points: Sequence[Point],
    weights: Sequence[float] | None,
    ranks: Sequence[int] | None = None,
) -> Test:
    """Return a test for newcomers that change nothing in the order of n points but its end.

    A newcomer passes if it comes behind all points, and changes no rank, no crowding distance and
    no normalisation of theirs. This holds for any number of such newcomers at once: one that a
    point of the last front dominates lies in a front behind it and dominates none of the points.

    Args:
        points: The losses of a population, n of at least 1.
        weights: As for :func:`order`.
        ranks: Pareto ranks of the points, where they are known.
    """
    if weights is not None:
        return _last_by_sum(points, weights)
    if len(points[0]) == 1:
        worst = max(points)
        return lambda point: point >= worst
    ranks = pareto_ranks(points) if ranks is None else ranks
    last = max(ranks)
    front = sorted({point for point, rank in zip(points, ranks, strict=True) if rank == last})
    return _last_in_plane(front) if len(points[0]) == 2 else _last_by_front(front)


def _last_by_sum(points: Sequence[Point], weights: Sequence[float]) -> Test:
    worst = max(weighted_scores(points, weights))
    columns = list(zip(*points, strict=True))
    scales = [(w, min(c), max(c), max(c) - min(c)) for w, c in zip(weights, columns, strict=True)]
    if not all(isfinite(span) for *_, span in scales):
        return lambda point: False

    def test(point: Point) -> bool:
        score = 0.0
        for loss, (weight, low, high, span) in zip(point, scales, strict=True):
            if not low <= loss <= high:
                return False
            score += weight * ((loss - low) / (span or 1.0))
        return score >= worst

    return test


def _last_in_plane(front: Sequence[Point]) -> Test:
    """Bisect a front sorted by its first loss: the nearest point below has the least second."""
    firsts = [point[0] for point in front]

    def test(point: Point) -> bool:
        place = bisect_right(firsts, point[0])
        return place > 0 and front[place - 1][1] <= point[1] and front[place - 1] != point

    return test


def _last_by_front(front: Sequence[Point]) -> Test:
    def test(point: Point) -> bool:
        return any(other != point and all(map(le, other, point)) for other in front)

    return test
