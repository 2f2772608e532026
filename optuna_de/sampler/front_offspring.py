"""From a numeric study of several objectives to a child that its front model chooses.

The same serves one objective with constraints.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_de.evolution.front_model import (
    LARGEST,
    RECENT,
    Array,
    Known,
    pool_of_children,
    prefer,
)
from optuna_de.evolution.population import Finished
from optuna_de.sampler.history import History
from optuna_de.sampler.numeric_space import NumericSpace
from optuna_de.sampler.offspring import MIN_PARENTS, Key
from optuna_de.sampler.plan import Candidate, Plan
from optuna_de.sampler.settings import Settings

EVERY = 3  # trials: one is chosen by a model


def plan_front(history: History, key: Key, settings: Settings) -> Candidate | None:
    """Plan every third trial of a study of several objectives whose parameters are all numbers.

    A study of one objective is planned so from its first infeasible trial on. Of a pool of
    children the model (:mod:`optuna_de.evolution.front_model`) prefers the one that adds the most
    hypervolume, or has the least loss; one that is taken or refused gives way to the next.

    Returns:
        ``None`` where another rule makes the child: the study is not of this kind, it is another
        trial's turn, or no child of the pool may be tried.
    """
    if key[-1] % EVERY or not _serves(history, settings):
        return None
    space = history.numeric_space
    members = None if space is None else _known(history, space, history.population)
    if space is None or members is None or len(members.places) <= MIN_PARENTS:
        return None
    known = _known(history, space, history.fold.finished[-RECENT:])
    rng = np.random.default_rng((*key, 4))
    pool = pool_of_children(members.places, settings.n_best, settings.variation, space.cells, rng)
    try:
        order = prefer(pool, known, members, _running(history, space), rng)
    except np.linalg.LinAlgError:
        return None
    return _first_free(pool[order], space, history, key, settings)


def _serves(history: History, settings: Settings) -> bool:
    """Return whether the study's rules leave the choice to hypervolume and numbers."""
    rules = history.fold.rules
    plain = rules.weights is None and rules.reference is None and not history.repairs
    model = settings.adaptive and settings.screening is None and settings.variation.scale > 0
    return plain and model and (len(history.signs) > 1 or history.is_violated)


def _first_free(
    pool: Array, space: NumericSpace, history: History, key: Key, settings: Settings
) -> Candidate | None:
    for attempt, point in enumerate(pool):
        sampled = space.unrounded(point)
        params = space.rounded(sampled)
        genome = history.read(params)
        if not settings.is_taken(genome, history) and not settings.refuses(params):
            plan = Plan(history.generation, "model", (), (*key, attempt), sampled=sampled)
            return Candidate(plan, genome, params)
    return None


class _Archive:
    """Finished trials as rows of one table: point, losses, constraints. Each is read once.

    Args:
        width: Numbers in a row.
    """

    def __init__(self, width: int) -> None:
        self._places: dict[int, int] = {}  # number of a trial -> its row, -1 where it has none
        self._table, self._size = np.empty((256, width)), 0

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def add(self, number: int, row: Array | None) -> None:
        """Take in a trial; one without a row, or of another width, has none."""
        fits = row is not None and len(row) == self._table.shape[1]
        self._places[number] = self._size if fits else -1
        if fits:
            if self._size == len(self._table):
                self._table = np.concatenate([self._table, np.empty_like(self._table)])
            self._table[self._size] = row
            self._size += 1

    def rows(self, trials: Sequence[Finished]) -> Array:
        """Return the rows of those trials that have one, shape ``(n, width)``."""
        places = self._places
        return self._table[[p for trial in trials if (p := places[trial.number]) >= 0]]


def _known(history: History, space: NumericSpace, trials: Sequence[Finished]) -> Known:
    """Return the trials that a model can use, by their points of the unit cube.

    Those whose losses or constraints are not finite, or whose constraints are not those of the
    last trial, are left out.
    """
    d, m = len(space.spans), len(history.signs)
    last = next((t.number for t in reversed(trials) if t.losses is not None), None)
    width = d + m + (0 if last is None else len(history.constraints(last)))
    key = ("front", width, *space.spans.items())
    archive: _Archive = history.memo.get(key) or history.memo.setdefault(key, _Archive(width))
    for trial in trials:
        if trial.number not in archive:
            archive.add(trial.number, _row(history, space, trial))
    rows = archive.rows(trials)
    return Known(rows[:, :d], rows[:, d:], m)


def _row(history: History, space: NumericSpace, trial: Finished) -> Array | None:
    """Return a trial's point, losses and constraints, shape ``(d + m + c,)``."""
    params = history.params(trial.number)
    if trial.losses is None or not params.keys() >= space.spans.keys():
        return None
    values = np.array([*trial.losses, *history.constraints(trial.number)], dtype=float)
    if not np.isfinite(values).all():
        return None
    return np.append(space.point(params), np.clip(values, -LARGEST, LARGEST))


def _running(history: History, space: NumericSpace) -> Array:
    """Return the running trials that have suggested all of their numbers, shape ``(r, d)``."""
    whole = [g.flat for g in history.running if g.flat.keys() >= space.spans.keys()]
    return np.array([space.point(flat) for flat in whole]).reshape(len(whole), len(space.spans))
