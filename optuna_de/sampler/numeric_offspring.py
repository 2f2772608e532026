"""From the runs of CMA-ES to a child of a numeric study, and the plan that made it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optuna_de.evolution.cma_fold import CMAFold, ball_of, model_minimum, sample
from optuna_de.sampler.history import History
from optuna_de.sampler.numeric_space import NumericSpace
from optuna_de.sampler.offspring import (
    ATTEMPTS,
    MIN_PARENTS,
    Key,
    breed_offspring,
    start,
)
from optuna_de.sampler.plan import Candidate, Plan
from optuna_de.sampler.settings import Settings
from optuna_de.search_space.distributions import Distributions

DIFFERENCES = 0.3  # share of children by differences where a parameter is on a grid
WIDER = 1.1  # factor on the standard deviations for each child that was taken or refused


def plan_numeric(
    history: History, key: Key, settings: Settings, distributions: Distributions
) -> Candidate | None:
    """Plan a trial of a study of one objective whose parameters are all numbers.

    Every fourth trial is the minimum of a quadratic model of the trials near the mean or the best
    one, the others are drawn from the normal distribution of CMA-ES
    (:mod:`optuna_de.evolution.cma_fold`). Where a parameter is on a grid, a share of the trials
    are children by differences instead.

    Returns:
        ``None`` where the study is not of this kind. One with an infeasible trial is not: at the
        border of the feasible set CMA-ES was behind children by differences, and a model of each
        constraint serves better (:mod:`optuna_de.sampler.front_offspring`).
    """
    if len(history.signs) > 1 or settings.screening is not None or not settings.adaptive:
        return None
    space = history.numeric_space
    if space is None or history.repairs or history.is_violated:
        return None
    fold = history.cma(space)
    if fold.run.normal is None:
        child = start(history, key, settings, distributions)
    elif space.cells.any() and _by_difference(history, key):
        child = breed_offspring(history, key, settings)
    else:
        return _sample(history, fold, space, key, settings)
    return replace(child, plan=child.plan.of_run(fold.run.number))


def _by_difference(history: History, key: Key) -> bool:
    share = np.random.default_rng((*key, 3)).random()
    return share < DIFFERENCES and len(history.population) >= MIN_PARENTS


def _sample(
    history: History, fold: CMAFold, space: NumericSpace, key: Key, settings: Settings
) -> Candidate:
    """Draw a child that is neither taken nor refused, wider and wider, within ``ATTEMPTS``."""
    ball = ball_of(key[-1], sum(number != key[-1] for number in history.open_numbers))
    for attempt in range(ATTEMPTS):
        name = (*key, attempt)
        point = model_minimum(fold.run, fold.trials, ball) if ball and not attempt else None
        operator = "cma" if point is None else "model"
        if point is None:
            point = sample(fold.run, np.random.default_rng((*name, 0)), wider=WIDER**attempt)
        sampled = space.unrounded(point)
        params = space.rounded(sampled)
        genome = history.read(params)
        if not settings.is_taken(genome, history) and not settings.refuses(params):
            break
    assert fold.run.normal is not None
    plan = Plan(
        history.generation,
        operator,
        (),
        name,
        sampled=sampled,
        run=fold.run.number,
        parameters={"step_size": fold.run.normal.step_size},
    )
    return Candidate(plan, genome, params)
