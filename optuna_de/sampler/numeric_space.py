"""The unit cube of a study whose parameters are all numbers, and its trials as points of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps
from math import isfinite
from typing import Any

import numpy as np

from optuna_de.evolution.cma_fold import Array, Evaluation
from optuna_de.evolution.genome import Interval, Value
from optuna_de.evolution.population import Finished
from optuna_de.evolution.variation import Catalog
from optuna_de.sampler.plan import Plan

NUMBER = 28  # characters of a number and its separators, at most
LONGEST_PLAN = 60_000  # characters of sampled numbers: MySQL's TEXT holds 65,535 bytes


@dataclass(frozen=True, slots=True)
class NumericSpace:
    """Numeric parameters that every trial has, as coordinates in the order of their names."""

    spans: Mapping[str, Interval]
    cells: Array  # (d,): the width of a grid's cell; 0 without a grid

    @classmethod
    def of(cls, catalog: Catalog) -> NumericSpace | None:
        """Return the space of a study.

        ``None`` if it has sequences or categories, or so many parameters that the sampled numbers
        do not fit a database's text.
        """
        spans = {
            name: span
            for name, span in sorted(catalog.flat.items())
            if isinstance(span, Interval) and span.low < span.high
        }
        choices = [span for span in catalog.flat.values() if not isinstance(span, Interval)]
        if not spans or choices or catalog.sequences:
            return None
        if sum(len(dumps(name)) + NUMBER for name in spans) > LONGEST_PLAN:
            return None
        return cls(spans, np.array([span.cell for span in spans.values()]))

    def unrounded(self, point: Array) -> dict[str, float]:
        """Return the parameters at a point before they are rounded to their grids."""
        pairs = zip(self.spans.items(), point.tolist(), strict=True)
        return {name: span.unrounded(unit) for (name, span), unit in pairs}

    def rounded(self, sampled: Mapping[str, float]) -> dict[str, Value]:
        """Return the parameters that unrounded ones stand for; no number stands for none."""
        known = {name: v for name, v in sampled.items() if name in self.spans and isfinite(v)}
        return {name: self.spans[name].clip(v) for name, v in known.items()}

    def point(self, values: Mapping[str, Any]) -> Array:
        """Return parameters, rounded or not, as a point of the unit cube, shape ``(d,)``."""
        return np.array([span.to_unit(values[name]) for name, span in self.spans.items()])

    def evaluation(
        self, trial: Finished, values: Mapping[str, Any], plan: Plan | None
    ) -> Evaluation | None:
        """Return a finished trial as a point, by the plan that is stored with it.

        A trial whose parameters are not those of its plan, as one that was enqueued, is from
        elsewhere.

        Args:
            trial: The trial.
            values: Its parameters.
            plan: Its plan, ``None`` where it has none.

        Returns:
            ``None`` where the trial has no loss or lacks a parameter.
        """
        if trial.losses is None or not values.keys() >= self.spans.keys():
            return None
        place = self.point(values)
        plan = plan or Plan(0, "added", (), ())
        sampled = plan.sampled
        agrees = all(values[name] == value for name, value in self.rounded(sampled).items())
        whole = self.rounded(sampled).keys() == self.spans.keys() and agrees
        point = self.point(sampled) if whole and self.cells.any() else place
        run = plan.run if agrees else None
        random = plan.operator == "initial"
        own = run is not None and (whole or random)
        return Evaluation(point, place, trial.losses[0], trial.violation, run, own, random)
