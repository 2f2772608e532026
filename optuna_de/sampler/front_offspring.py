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
    members = [] if space is None else _known(history, space, history.population)
    if space is None or len(members) <= MIN_PARENTS:
        return None
    known = _known(history, space, history.fold.finished[-RECENT:])
    rng = np.random.default_rng((*key, 4))
    places = np.array([trial.place for trial in members])
    pool = pool_of_children(places, settings.n_best, settings.variation, space.cells, rng)
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


def _known(history: History, space: NumericSpace, trials: Sequence[Finished]) -> list[Known]:
    """Return the trials that a model can use, by their points of the unit cube.

    Those whose losses or constraints are not finite, or whose constraints are not those of the
    last trial, are left out.
    """
    kept: dict[int, Known | None] = history.memo.setdefault(("front", *space.spans.items()), {})
    for trial in trials:
        if trial.number not in kept:
            kept[trial.number] = _as_known(history, space, trial)
    evaluations = [known for trial in trials if (known := kept[trial.number]) is not None]
    width = len(evaluations[-1].values) if evaluations else 0
    return [known for known in evaluations if len(known.values) == width]


def _as_known(history: History, space: NumericSpace, trial: Finished) -> Known | None:
    params = history.params(trial.number)
    if trial.losses is None or not params.keys() >= space.spans.keys():
        return None
    values = np.array([*trial.losses, *history.constraints(trial.number)], dtype=float)
    if not np.isfinite(values).all():
        return None
    return Known(space.point(params), np.clip(values, -LARGEST, LARGEST), len(trial.losses))


def _running(history: History, space: NumericSpace) -> Array:
    """Return the running trials that have suggested all of their numbers, shape ``(r, d)``."""
    whole = [g.flat for g in history.running if g.flat.keys() >= space.spans.keys()]
    return np.array([space.point(flat) for flat in whole]).reshape(len(whole), len(space.spans))
