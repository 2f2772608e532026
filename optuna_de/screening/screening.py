"""Screening: a Gaussian process chooses one of many offspring; known objectives are exact.

Pure functions of the finished and running trials. One process per unknown objective predicts the
loss. An offspring is judged by an optimistic estimate, mean less some standard deviations
(Srinivas et al., 2010), of the hypervolume that it would add to the front. Front members count
with their smoothed losses, so that one lucky evaluation is not trusted; none is evaluated again,
as a child close to it teaches the model as much and may be better. Running trials count with
their predicted losses (the kriging believer, Ginsbourger et al., 2010). Needs scikit-learn, which
is imported when the first model is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from optuna_de._checks import require
from optuna_de.evolution.genome import Genome
from optuna_de.evolution.variation import Catalog
from optuna_de.screening.acquisition import acquisition_values
from optuna_de.screening.surrogate import Memo, Surrogate
from optuna_de.screening.transforms import Scale

Array = NDArray[np.float64]
_MARGIN = 1.1  # of the reference point of acquisition_values


@dataclass(frozen=True)
class Screening:
    """Parameters of screening.

    Args:
        pool: Offspring bred for one trial, at least 2.
        optimism: Standard deviations subtracted from the predicted mean (lower confidence
            bound), ``>= 0``.
        smoothness: The Matern kernel's, 0.5 (exponential), 1.5 or 2.5.
        limit: Finished trials that a model learns from, at least 20.
        minimum: Finished trials before the first model, at least 5.
        price: Whether known objectives are also features of the models.
        stopped: Whether the model learns from trials that early stopping pruned.

    Raises:
        ValueError: If an argument is out of its range.
        ImportError: If scikit-learn is not installed.

    Example:
        >>> prices = {1: lambda params: params["n"]}
        >>> sampler = DESampler(prices=prices, screening=Screening(pool=50))
    """

    pool: int = 100
    optimism: float = 1.0
    smoothness: float = 1.5
    limit: int = 300
    minimum: int = 8
    price: bool = True
    stopped: bool = True

    def __post_init__(self) -> None:
        smooth = self.smoothness in (0.5, 1.5, 2.5)
        require(self.pool >= 2, "pool", self.pool, "at least 2")
        require(self.optimism >= 0, "optimism", self.optimism, "at least 0")
        require(smooth, "smoothness", self.smoothness, "0.5, 1.5 or 2.5")
        require(self.limit >= 20, "limit", self.limit, "at least 20")
        require(self.minimum >= 5, "minimum", self.minimum, "at least 5")
        if find_spec("sklearn") is None:
            raise ImportError(
                "Screening needs scikit-learn; install it with: pip install 'optuna-de[screening]'"
            )


@dataclass(frozen=True)
class Evidence:
    """Finished and running trials from which screening learns.

    Args:
        genomes: Evaluated genomes, n, in the order of their completion.
        losses: Their losses ``(n, m)``, minimised.
        feasible: Which of them break no constraint, ``(n,)``.
        running: Genomes that are being evaluated.
        catalog: The ranges of all genes.
        weights: Those of a weighted sum, or ``None``.
        reference: Losses ``m`` beyond which nothing is gained, or ``None``.
        unfinished: How far each was from its end when it was stopped, ``(n,)`` in [0, 1]; ``None``
            if none was.
    """

    genomes: Sequence[Genome]
    losses: Array
    feasible: NDArray[np.bool_]
    running: Sequence[Genome]
    catalog: Catalog
    weights: tuple[float, ...] | None = None
    reference: tuple[float, ...] | None = None
    unfinished: Array | None = None


@dataclass(frozen=True)
class Verdict:
    """Index of the chosen offspring in the pool, or the reason why screening chose none."""

    chosen: int | None
    reason: str = ""


def screen(
    evidence: Evidence,
    pool: Sequence[Genome],
    prices: Mapping[int, Array],
    options: Screening,
    rng: np.random.Generator,
    memo: Memo,
) -> Verdict:
    """Choose one offspring of a pool to evaluate.

    Args:
        evidence: Finished and running trials.
        pool: Offspring, k, none of which was tried.
        prices: Losses of the running trials, then of the pool, ``(running + k,)`` without NaN, by
            the index of each objective that is known before the evaluation.
        options: How to screen.
        rng: Draws the weights of a scalarisation if there are more than two objectives.
        memo: A disposable cache, one per study.
    """
    if len(evidence.genomes) < options.minimum:
        return Verdict(None, "too few finished trials")
    if not pool:
        return Verdict(None, "no offspring that is new")
    scales = [Scale.of(column, evidence.weights is None) for column in evidence.losses.T]
    scaled = {j: scales[j].forward(losses) for j, losses in prices.items()}
    surrogate = Surrogate(
        evidence.genomes,
        np.column_stack([s.forward(c) for s, c in zip(scales, evidence.losses.T, strict=True)]),
        [scale.shift is not None for scale in scales],
        evidence.catalog,
        sorted(scaled) if options.price else (),
        options.smoothness,
        options.limit,
        memo,
        evidence.unfinished,
    )
    others = [*evidence.running, *pool]
    estimates = _estimates(surrogate, others, scaled, len(evidence.running), options.optimism)
    if estimates is None:
        return Verdict(None, "the model is no better than a constant")
    smooth, waiting, optimistic = estimates
    incumbents = np.vstack([smooth[evidence.feasible[surrogate.kept]], waiting])
    low, high = surrogate.losses.min(axis=0), surrogate.losses.max(axis=0)
    if evidence.reference is not None:
        high = _worst_useful(evidence.reference, scales, low, high)
    span = np.where(high > low, high - low, 1.0)
    incumbents, optimistic = (incumbents - low) / span, (optimistic - low) / span
    return Verdict(
        int(np.argmax(acquisition_values(incumbents, optimistic, evidence.weights, rng)))
    )


def _worst_useful(
    reference: Sequence[float], scales: Sequence[Scale], low: Array, high: Array
) -> Array:
    """Return the losses that put the reference point of acquisition_values at the given one."""
    bounds = [
        low[j] + float(scales[j].forward(np.array([bound]))[0] - low[j]) / _MARGIN
        if isfinite(bound)
        else high[j]
        for j, bound in enumerate(reference)
    ]
    return np.array(bounds, dtype=float)


def _estimates(
    surrogate: Surrogate,
    others: Sequence[Genome],
    prices: Mapping[int, Array],
    running: int,
    optimism: float,
) -> tuple[Array, Array, Array] | None:
    """Return smoothed losses of the kept, predicted of the running, optimistic of the new."""
    losses = surrogate.losses[surrogate.kept]
    unknown = [j for j in range(losses.shape[1]) if j not in prices]
    if unknown and not np.ptp(losses[:, unknown], axis=0).any():
        return None
    features = [prices[j] for j in surrogate.prices]
    rows = surrogate.rows(others, np.array(features).reshape(len(features), len(others)).T)
    columns = []
    for j in range(losses.shape[1]):
        if j in prices:
            columns.append((losses[:, j], prices[j][:running], prices[j][running:]))
        elif (estimate := surrogate.estimate(j, rows, running, optimism)) is not None:
            columns.append(estimate)
        else:
            return None
    smooth, waiting, new = (np.column_stack(parts) for parts in zip(*columns, strict=True))
    return smooth, waiting, new
