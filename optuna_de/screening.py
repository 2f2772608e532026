"""Which of many offspring is worth evaluating: a Gaussian process on genomes, known prices exact.

Pure functions of the finished and running trials. One process per unknown objective predicts the
logarithm of its loss; an offspring is judged by an optimistic estimate, mean less some standard
deviations (Srinivas et al., 2010), of the hypervolume that it would add to the front. Front
members count with their smoothed losses, so that one lucky evaluation is not trusted, and running
trials with their predicted ones (the kriging believer, Ginsbourger et al., 2010). Needs
scikit-learn, which is imported when the first model is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_de._checks import require
from optuna_de._features import features
from optuna_de._gaussian import Model
from optuna_de._merits import merits
from optuna_de._scales import Scale, subset
from optuna_de.genome import Genome
from optuna_de.ranges import Params
from optuna_de.space import write
from optuna_de.variation import Catalog

Array = NDArray[np.float64]
Known = Mapping[int, Callable[[Params], float]]
LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
NOISES = (1e-4, 1e-3, 1e-2, 5e-2, 0.2, 1.0)


@dataclass(frozen=True)
class Screening:
    """How offspring are screened.

    Args:
        pool: Offspring bred for one trial, at least 2.
        optimism: Standard deviations below the mean at which a loss is expected, ``>= 0``.
        smoothness: The Matern kernel's, 0.5 (exponential), 1.5 or 2.5.
        limit: Finished trials that a model learns from, at least 20.
        minimum: Finished trials before the first model, at least 5.
        price: Whether known objectives describe a genome to the models of the others, too.
        stopped: Whether trials that early stopping pruned teach the model.

    Raises:
        ValueError: Where an argument is out of its range.
        ImportError: Where scikit-learn is not installed.
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
    """What a study knows when a child is wanted.

    Args:
        genomes: Evaluated genomes, n, in the order of their completion.
        losses: Their losses ``(n, m)``, minimised.
        feasible: Which of them break no constraint, ``(n,)``.
        running: Genomes that are being evaluated.
        catalog: The ranges of all genes.
        weights: Those of a weighted sum, or ``None``.
    """

    genomes: Sequence[Genome]
    losses: Array
    feasible: NDArray[np.bool_]
    running: Sequence[Genome]
    catalog: Catalog
    weights: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Verdict:
    """The place of the offspring to evaluate in its pool, or why none was preferred."""

    chosen: int | None
    reason: str = ""


Memo = dict[Any, Any]


def screen(
    evidence: Evidence,
    pool: Sequence[Genome],
    known: Known,
    options: Screening,
    rng: np.random.Generator,
    memo: Memo,
) -> Verdict:
    """Return which offspring of a pool is worth evaluating.

    Args:
        evidence: Finished and running trials.
        pool: Offspring, none of them known.
        known: Objectives that are computed from parameters, by their index.
        options: How to screen.
        rng: Draws the weights of a scalarisation where there are more than two objectives.
        memo: A disposable cache, one per study.
    """
    if len(evidence.genomes) < options.minimum:
        return Verdict(None, "too few finished trials")
    if not pool:
        return Verdict(None, "no offspring that is new")
    scales = [Scale.of(column, evidence.weights is None) for column in evidence.losses.T]
    prices = {
        j: scales[j].forward(
            np.array([float(price(write(g))) for g in (*evidence.running, *pool)])
        )
        for j, price in known.items()
    }
    told = np.column_stack([s.forward(c) for s, c in zip(scales, evidence.losses.T, strict=True)])
    kept = subset(told, options.limit)
    found = _estimates(evidence, kept, pool, told, prices, options, memo)
    if isinstance(found, str):
        return Verdict(None, found)
    smooth, waiting, optimistic = found
    incumbents = np.vstack([smooth[evidence.feasible[kept]], waiting])
    low, high = told.min(axis=0), told.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    incumbents, optimistic = (incumbents - low) / span, (optimistic - low) / span
    return Verdict(int(np.argmax(merits(incumbents, optimistic, evidence.weights, rng))))


def _estimates(
    evidence: Evidence,
    kept: NDArray[np.intp],
    pool: Sequence[Genome],
    told: Array,
    prices: Mapping[int, Array],
    options: Screening,
    memo: Memo,
) -> tuple[Array, Array, Array] | str:
    """Return smoothed losses of the kept, predicted of the running, optimistic of the new."""
    n, running = len(kept), len(evidence.running)
    known = sorted(prices) if options.price else []
    rows = _rows(
        [*(evidence.genomes[i] for i in kept), *evidence.running, *pool],
        evidence.catalog,
        np.vstack([told[kept][:, known], np.column_stack([prices[j] for j in known])])
        if known
        else np.zeros((n + running + len(pool), 0)),
        n,
    )
    columns = []
    for j in range(told.shape[1]):
        if j in prices:
            columns.append((told[kept, j], prices[j][:running], prices[j][running:]))
            continue
        theta = _hyperparameters(evidence, told, j, known, options, memo)
        model = Model.fit(rows[:n], told[kept, j], options.smoothness, theta)
        if not model.is_useful:
            return "the model is no better than a constant"
        waiting = model.predict(rows[n : n + running])[0]
        believer = model.believing(rows[n : n + running], waiting)
        mean, deviation = believer.predict(rows[n + running :])
        optimistic = mean - options.optimism * deviation
        columns.append((model.predict(rows[:n])[0], waiting, optimistic))
    smooth, waiting, new = (np.column_stack(parts) for parts in zip(*columns, strict=True))
    return smooth, waiting, new


def _rows(genomes: Sequence[Genome], catalog: Catalog, prices: Array, told: int) -> Array:
    """Return features and prices ``(n, p)``, these in units of their range in the first rows."""
    low, high = prices[:told].min(axis=0), prices[:told].max(axis=0)
    scaled = (prices - low) / np.where(high > low, high - low, 1.0)
    return np.hstack([features(genomes, catalog), scaled])


def _hyperparameters(
    evidence: Evidence,
    told: Array,
    objective: int,
    known: Sequence[int],
    options: Screening,
    memo: Memo,
) -> tuple[float, float]:
    """Return length scale and noise: those of the greatest likelihood on a grid.

    They are sought anew only when the number of trials passes a step, and are a function of the
    trials up to that step alone: any process finds the same.
    """
    n = len(told)
    seen = n - n % (1 if n < 20 else 5 if n < 100 else 20)
    name = told[:seen].tobytes(), evidence.catalog
    if memo.get(objective, (None,))[0] != name:
        kept = subset(told[:seen], options.limit)
        genomes = [evidence.genomes[i] for i in kept]
        x = _rows(genomes, evidence.catalog, told[kept][:, known], len(kept))
        y = told[kept, objective]
        fits = (Model.fit(x, y, options.smoothness, theta) for theta in product(LENGTHS, NOISES))
        memo[objective] = name, max(fits, key=lambda model: model.likelihood).theta
    theta: tuple[float, float] = memo[objective][1]
    return theta
