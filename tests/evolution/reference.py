"""A plain reference of the fold: every population selected in full, with NumPy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optuna_de.evolution.population import Finished, Rules

Array = NDArray[np.float64]


def population(finished: Sequence[Finished], rules: Rules) -> list[int]:
    """Return the trial numbers of the population after finished trials in any order."""
    done, survivors, size = sorted(finished), list[Finished](), rules.first
    while len(done) >= size:
        block, done = done[:size], done[size:]
        members = [*survivors, *(t for t in block if t.losses is not None)]
        survivors = [members[i] for i in order(members, rules.weights)[: rules.population_size]]
        size = rules.offspring
    return [member.number for member in survivors]


def order(members: Sequence[Finished], weights: tuple[float, ...] | None) -> list[int]:
    if not members:
        return []
    losses = np.array([m.losses for m in members], dtype=float)
    violations = np.array([m.violation for m in members])
    if weights is not None:
        ranking = np.argsort(weighted_scores(losses, weights), kind="stable")
    elif losses.shape[1] == 1:
        ranking = np.argsort(losses[:, 0], kind="stable")
    else:
        ranking = pareto_order(losses)
    return [int(i) for i in ranking[np.argsort(violations[ranking], kind="stable")]]


def weighted_scores(losses: Array, weights: Sequence[float]) -> Array:
    finite = clip_infinite(losses)
    low = finite.min(axis=0)
    span = finite.max(axis=0) - low
    normed = (finite - low) / np.where(span > 0, span, 1.0)
    return np.asarray(normed @ np.asarray(weights, dtype=float))


def pareto_order(losses: Array) -> NDArray[np.intp]:
    ranks = pareto_ranks(losses)
    spread = np.empty(len(losses))
    for rank in range(int(ranks.max(initial=-1)) + 1):
        members = ranks == rank
        spread[members] = crowding_distances(losses[members])
    return np.lexsort((-spread, ranks))


def pareto_ranks(losses: Array) -> NDArray[np.intp]:
    no_worse = (losses[:, None, :] <= losses[None, :, :]).all(axis=2)  # (n, n)
    dominates = no_worse & ~no_worse.T
    ranks = np.full(len(losses), -1)
    rank = 0
    while (open_ := ranks < 0).any():
        dominated = dominates[open_].any(axis=0)
        ranks[open_ & ~dominated] = rank
        rank += 1
    return ranks


def crowding_distances(losses: Array) -> Array:
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


def clip_infinite(losses: Array) -> Array:
    if np.isfinite(losses).all():
        return losses
    known = np.where(np.isfinite(losses), losses, np.nan)
    known[0, np.isnan(known).all(axis=0)] = 0.0
    return np.clip(losses, np.nanmin(known, axis=0), np.nanmax(known, axis=0))
