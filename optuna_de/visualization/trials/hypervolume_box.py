"""The box of objectives in which a front's hypervolume is measured.

Each objective is put on a scale, logarithmic where all its values are positive and the largest is
ten times the smallest. On it, the reference point is the worst value of any feasible trial and a
tenth of the range beyond; the volume between the front and that point is a share of the box from
the best values to it (Zitzler and Thiele, 1998). Studies that are plotted together share the box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray

from optuna_de import _compat
from optuna_de._attributes import REFERENCE_KEY, read_reference
from optuna_de.evolution.pareto import signs_of
from optuna_de.evolution.reference import reachable_reference
from optuna_de.visualization.trials import finished_trials
from optuna_de.visualization.trials.finished_trials import Entry

Array = NDArray[np.float64]
_FIRST = 10  # trials of the first block of a search


def recorded_reference(
    studies: Sequence[optuna.Study], run: Sequence[Entry]
) -> tuple[float, ...] | None:
    """Return the reference point that all of some studies record, as the first trials reach it.

    Args:
        studies: Studies, one or more.
        run: Finished trials of the first, in order.
    """
    n = len(studies[0].directions)
    references = {read_reference(s.user_attrs.get(REFERENCE_KEY), n) for s in studies}
    recorded = references.pop() if len(references) == 1 else None
    if recorded is None:
        return None
    signs = np.array(signs_of(studies[0].directions))
    first = [e.losses for e in finished_trials.scored(run)[:_FIRST]]
    reached = reachable_reference(tuple(float(x) for x in signs * recorded), first)
    return tuple(float(x) for x in signs * reached)


@dataclass(frozen=True, slots=True)
class Box:
    """The box of losses on their scales, from the ideal point to the reference point."""

    signs: Array
    log: tuple[bool, ...]
    ideal: Array
    reference: Array

    @classmethod
    def around(cls, losses: Array, signs: Array, reference_point: Sequence[float] | None) -> Box:
        """Return the box around losses ``(n, m)``, finite and at least one."""
        log = tuple(finished_trials.is_wide(column) for column in (signs * losses).T)
        scaled = _scale(losses, signs, log)
        ideal, worst = scaled.min(axis=0), scaled.max(axis=0)
        span = worst - ideal
        reference = worst + np.where(span > 0, 0.1 * span, 1.0)
        if reference_point is not None:
            reference = _scale(signs * np.array([reference_point], dtype=float), signs, log)[0]
        return cls(signs, log, ideal, reference)

    def scale(self, losses: Sequence[float]) -> Array:
        """Put the losses of one trial on their scales."""
        return _scale(np.array([losses]), self.signs, self.log).ravel()

    def share(self, front: Array) -> float:
        """Return the share of the box that a front on its scales dominates."""
        size = np.prod(np.maximum(self.reference - self.ideal, 0.0))
        return _compat.hypervolume(front, self.reference) / float(size) if size > 0 else 0.0

    @property
    def reference_values(self) -> tuple[float, ...]:
        """The reference point in the objectives' units."""
        values = self.signs * self.reference
        return tuple(
            float(10**v if is_log else v) for v, is_log in zip(values, self.log, strict=True)
        )


def _scale(losses: Array, signs: Array, log: Sequence[bool]) -> Array:
    """Put the logarithm in the place of each wide objective; maximised ones stay negated."""
    values = signs * losses
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(signs * np.where(log, np.log10(values), values))
