"""Models of the losses that have to be predicted, one Gaussian process each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_de.evolution.genome import Genome
from optuna_de.evolution.variation import Catalog
from optuna_de.screening.features import Tables, features
from optuna_de.screening.gaussian_process import Model, most_likely
from optuna_de.screening.transforms import Stretch, training_subset

Array = NDArray[np.float64]
Memo = dict[Any, Any]
LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
NOISES = (1e-4, 1e-3, 1e-2, 5e-2, 0.2, 1.0)


@dataclass(frozen=True)
class Surrogate:
    """Models of a study's finished trials, one per unknown objective.

    Args:
        genomes: Evaluated genomes, n, in the order of their completion.
        losses: Their losses ``(n, m)``, each objective on its scale.
        logarithmic: Which scales are logarithmic, m.
        catalog: The ranges of all genes.
        prices: Indices of known objectives that are features of the models of the others.
        smoothness: The Matern kernel's.
        limit: Trials that a model learns from.
        memo: A disposable cache, one per study.
        unfinished: How far each was from its end when it stopped, ``(n,)`` in [0, 1]; ``None`` if
            all ended. A feature: what is extrapolated may be biased by its rung.
    """

    genomes: Sequence[Genome]
    losses: Array
    logarithmic: Sequence[bool]
    catalog: Catalog
    prices: Sequence[int]
    smoothness: float
    limit: int
    memo: Memo
    unfinished: Array | None = None

    @cached_property
    def kept(self) -> NDArray[np.intp]:
        """The trials that the models learn from."""
        return training_subset(self.losses, self.limit)

    def rows(self, others: Sequence[Genome], prices: Array) -> Array:
        """Return features ``(kept + k, d)`` of the kept and of k others.

        ``prices`` ``(k, len(self.prices))`` are the others' known losses on their scales.
        """
        genomes = [*(self.genomes[i] for i in self.kept), *others]
        priced = np.vstack([self.losses[self.kept][:, self.prices], prices])
        unfinished = np.append(self._unfinished[self.kept], np.zeros(len(others)))
        return self._rows(genomes, priced, unfinished, len(self.kept))

    def estimate(
        self, objective: int, rows: Array, running: int, optimism: float
    ) -> tuple[Array, Array, Array] | None:
        """Return smoothed losses of the kept, predicted of the running, optimistic of the rest.

        Each is ``(n,)``, on the objective's scale; ``rows`` are those of the kept, the running
        and the rest. ``None`` if the model is no better than a constant; losses that are all
        equal are expected to stay so.
        """
        n = len(self.kept)
        losses = self.losses[self.kept, objective]
        if np.ptp(losses) == 0:
            same = np.full(len(rows), losses[0])
            return same[:n], same[n : n + running], same[n + running :]
        stretch = Stretch.of(losses, self.logarithmic[objective])
        theta = self._theta(objective)
        model = Model.fit(rows[:n], stretch.forward(losses), self.smoothness, theta)
        if not model.is_useful:
            return None
        waiting = model.predict(rows[n : n + running])[0]
        believer = model.believing(rows[n : n + running], waiting)
        mean, deviation = believer.predict(rows[n + running :])
        back = stretch.backward
        return back(model.smoothed), back(waiting), back(mean - optimism * deviation)

    def _theta(self, objective: int) -> tuple[float, float]:
        """Return length scale and noise: those of the greatest likelihood on a grid.

        They are fitted again only when the number of trials passes a step. They are a function of
        the trials, so any process computes the same.
        """
        n = len(self.losses)
        settled = self.losses[: n - n % (1 if n < 20 else 5 if n < 100 else 20)]
        unfinished = self._unfinished[: len(settled)]
        name = settled.tobytes(), unfinished.tobytes(), self.catalog
        if self.memo.get(objective, (None,))[0] != name:
            kept = training_subset(settled, self.limit)
            genomes = [self.genomes[i] for i in kept]
            priced = settled[kept][:, self.prices]
            x = self._rows(genomes, priced, unfinished[kept], len(kept))
            losses = settled[kept, objective]
            y = Stretch.of(losses, self.logarithmic[objective]).forward(losses)
            theta = most_likely(x, y, self.smoothness, LENGTHS, NOISES)
            self.memo[objective] = name, theta
        return self.memo[objective][1]  # type: ignore[no-any-return]

    @property
    def _unfinished(self) -> Array:
        return np.zeros(len(self.losses)) if self.unfinished is None else self.unfinished

    def _rows(
        self, genomes: Sequence[Genome], prices: Array, unfinished: Array, kept: int
    ) -> Array:
        """Return features, prices ``(n, p)`` in units of their range in the kept, and ends."""
        low, high = prices[:kept].min(axis=0), prices[:kept].max(axis=0)
        scaled = (prices - low) / np.where(high > low, high - low, 1.0)
        of_genomes = features(genomes, self.catalog, self._tables)
        ends = [unfinished[:, None]] if unfinished.any() else []
        return np.hstack([of_genomes, scaled, *ends])

    @property
    def _tables(self) -> Tables:
        """The tables of the catalog's units, kept until the catalog changes."""
        if self.memo.get("tables", (None,))[0] is not self.catalog:
            self.memo["tables"] = self.catalog, {}
        tables: Tables = self.memo["tables"][1]
        return tables
