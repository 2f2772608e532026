"""DESampler: differential evolution as an Optuna sampler. Holds a seed and disposable caches.

The population is folded from the storage at every trial (:mod:`optuna_de.sampler.history`);
a child is a pure function of its parents and of a generator named by (seed, study name, trial
number).
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal
from weakref import WeakKeyDictionary
from zlib import crc32

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_de import _compat
from optuna_de._checks import require
from optuna_de.evolution.genome import Value
from optuna_de.evolution.population import Repair, Rules
from optuna_de.evolution.variation import Variation, draw
from optuna_de.sampler.history import History
from optuna_de.sampler.numeric_offspring import plan_numeric
from optuna_de.sampler.offspring import (
    ATTEMPTS,
    MIN_PARENTS,
    Settings,
    breed_offspring,
    replay,
    running_offspring,
    start,
)
from optuna_de.sampler.plan import PLAN_KEY, Plan
from optuna_de.screening.screening import Known, Screening
from optuna_de.search_space.distributions import Distributions, Params, fitting, range_of

_logger = logging.getLogger(__name__)


class DESampler(BaseSampler):
    """Differential evolution for flat, conditional and variable-length spaces.

    A child is ``best + scale * (r1 - r2)`` (Storn and Price, 1997), gene by gene; sequences of
    units are recognised by their parameter names (:mod:`optuna_de.search_space`) and follow the
    difference and add of the seed report. With several objectives a number that takes part is
    ``base + F * (r1 - r2)`` instead, of a fourth member and with an F in (0, 0.9) drawn for each
    child. A study of one objective and numbers only, in which no trial was infeasible, is
    searched by CMA-ES (Hansen, 2016, arXiv:1604.00772), and every fourth child is the minimum of
    a quadratic model (after Hansen, 2019); on a grid 30 % of the children stay differences. All
    of it is read back from the stored trials. Survivors are chosen by Pareto rank and crowding
    distance, or by a weighted sum. Any number of workers may share a study: every finished trial
    enters the selection and none is waited for.

    Args:
        population_size: Survivors of a selection, at least 4.
        n_startup_trials: Finished trials before the first selection, drawn from the initial
            distribution, at least 4; default: half the population, which then grows to its size.
        offspring: Finished trials per selection, at least 1; default 1 (steady state).
        weights: One non-negative weight per objective for a sum of min-max normalised losses;
            ``None`` selects by Pareto rank.
        n_best: ``best`` is drawn from this many best members, at least 1.
        scale: Factor F on numeric differences, ``>= 0``; 0 inherits numbers whole. With several
            objectives F is drawn unless it is 0.
        crossover: Probability CR, in ``[0, 1]``, that a gene takes part in the difference.
        mutation: Expected number of genes of a child edited at random, ``>= 0``.
        initial: ``initial(rng) -> params`` draws the initial population; default: uniform.
        repair: ``repair(params) -> params`` maps parameters to those that express the same
            thing canonically; children are stored, and duplicates judged, in this form.
        accept: ``accept(params) -> bool``; a draw or child that it refuses is drawn again, within
            a bounded number of attempts: a hard cap that costs no trial. A child with a kind that
            no trial had comes without that kind's attributes, which are drawn later.
        deduplicate: ``True``: no child equals a finished or running trial; ``"generation"``:
            none equals a child of its own generation; ``False``: no check.
        known: Objectives that parameters alone tell, as ``{index: function(params) -> float}``:
            they are exact in screening, in the study's own direction.
        screening: Whether a model of the finished trials chooses each child among many
            (:class:`optuna_de.screening.screening.Screening` sets how); needs scikit-learn.
        adaptive: Whether CMA-ES, the model and the drawn F are used; ``False`` is the rule of
            1997 in every study. Screening takes the place of CMA-ES and the model.
        seed: Non-negative integer; ``None`` draws one. With the study's name, where it was given
            one, and a trial's number it seeds that trial.

    Raises:
        ValueError: Where an argument is out of its range.
        ImportError: Where screening is asked for, but scikit-learn is not installed.
    """

    def __init__(
        self,
        *,
        population_size: int = 20,
        n_startup_trials: int | None = None,
        offspring: int | None = None,
        weights: Sequence[float] | None = None,
        n_best: int = 5,
        scale: float = 0.7,
        crossover: float = 0.5,
        mutation: float = 0.5,
        initial: Callable[[np.random.Generator], Params] | None = None,
        repair: Repair | None = None,
        accept: Callable[[Params], bool] | None = None,
        deduplicate: bool | Literal["generation"] = True,
        known: Known | None = None,
        screening: bool | Screening = False,
        adaptive: bool = True,
        seed: int | None = None,
    ) -> None:
        require(seed is None or seed >= 0, "seed", seed, "None or at least 0")
        startup = max(4, population_size // 2) if n_startup_trials is None else n_startup_trials
        self._rules = Rules(
            population_size,
            1 if offspring is None else offspring,
            None if weights is None else tuple(weights),
            repair,
            startup,
        )
        self._settings = Settings(
            n_best,
            Variation(scale, crossover, mutation),
            initial,
            accept,
            deduplicate,
            dict(known or {}),
            Screening() if screening is True else screening or None,
            adaptive,
        )
        self._seed = secrets.randbits(64) if seed is None else int(seed)
        self._clear()

    @classmethod
    def seed_exact(
        cls,
        initial: Callable[[np.random.Generator], Params] | None = None,
        *,
        repair: Repair | None = None,
        accept: Callable[[Params], bool] | None = None,
        seed: int | None = None,
    ) -> DESampler:
        """Return the seed report's algorithm: 20 parents, 10 children, weights (0.7, 0.3).

        Units are exchanged whole: attributes never move and nothing is edited at random. Of the
        children of one generation no two are equal, within a bounded number of redraws.

        Args:
            initial: The initial distribution, e.g. ``CNNSpace.seed().initial``.
            repair: Drops what a genome cannot express, e.g. ``CNNSpace.seed().repair``.
            accept, seed: As for the sampler.
        """
        return cls(
            population_size=20,
            n_startup_trials=20,
            offspring=10,
            weights=(0.7, 0.3),
            n_best=5,
            scale=0.0,
            crossover=1.0,
            mutation=0.0,
            initial=initial,
            repair=repair,
            accept=accept,
            deduplicate="generation",
            adaptive=False,
            seed=seed,
        )

    def _clear(self) -> None:
        self._lock = threading.RLock()
        self._histories: WeakKeyDictionary[BaseStorage, dict[int, History]] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        caches = ("_lock", "_histories")
        return {name: value for name, value in vars(self).items() if name not in caches}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._clear()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        """Return the union of all distributions seen in the study's finished trials."""
        with self._lock:
            known = self._history(study).distributions
            return {name: d for name, d in known.items() if not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Plan the trial, store the plan and return the planned values in the search space."""
        with self._lock:
            plan, params = self._plan(study, trial, search_space)
            self._history(study).planned[trial.number] = plan, params
        if PLAN_KEY not in trial.system_attrs:
            _compat.set_system_attr(study, trial, PLAN_KEY, asdict(plan))
            if plan.screened is True and self._settings.deduplicate is True:
                params = self._differ(study, trial, plan, params)
        return {name: value for name, value in params.items() if name in search_space}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the planned value, else one that the population holds, else a random one."""
        with self._lock:
            history = self._history(study)
            unplanned = Plan(0, "initial", (), (self._seed, trial.number)), dict[str, Value]()
            plan, params = history.planned.get(trial.number, unplanned)
            rng = np.random.default_rng((*plan.key, crc32(param_name.encode())))
            planned = [params[param_name]] if param_name in params else []
            held = fitting(planned, param_distribution)
            if not held and plan.parents:
                held = fitting(history.donors(param_name), param_distribution)
        if held:
            return held[int(rng.random() * len(held))]
        if plan.parents:
            _logger.debug("Trial %d: %s is drawn at random.", trial.number, param_name)
        return draw(range_of(param_distribution), rng)

    def _differ(
        self, study: Study, trial: FrozenTrial, plan: Plan, params: dict[str, Value]
    ) -> dict[str, Value]:
        """Plan anew while another worker has planned the same child at the same time.

        Each looks after it has written, so at least one of two sees the other.
        """
        for _ in range(ATTEMPTS):
            with self._lock:
                history = self._history(study, fresh=True)
                others = running_offspring(history, self._settings, trial.number)
                if history.canonical(params).spelling() not in {o.spelling() for o in others}:
                    break
                plan, params = breed_offspring(history, self._key(history, trial), self._settings)
                history.planned[trial.number] = plan, params
            _compat.set_system_attr(study, trial, PLAN_KEY, asdict(plan))
        return params

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Drop the cached plan of the trial."""
        storage, study_id = _compat.study_key(study)
        history = self._histories.get(storage, {}).get(study_id)
        if history is not None:
            history.planned.pop(trial.number, None)

    def _history(self, study: Study, *, fresh: bool = False) -> History:
        storage, study_id = _compat.study_key(study)
        histories = self._histories.setdefault(storage, {})
        if study_id not in histories:
            self._check_known(len(study.directions))
            histories[study_id] = History(self._rules, study.study_name, study.directions)
        trials = _compat.fresh_trials_of(study) if fresh else _compat.trials_of(study)
        histories[study_id].update(trials)
        return histories[study_id]

    def _plan(
        self, study: Study, trial: FrozenTrial, search_space: Distributions
    ) -> tuple[Plan, dict[str, Value]]:
        history, settings = self._history(study), self._settings
        stored = trial.system_attrs.get(PLAN_KEY)
        if stored is not None:
            return replay(Plan.load(stored), history, settings, search_space)
        key = self._key(history, trial)
        numeric = plan_numeric(history, key, settings, search_space)
        if numeric is not None:
            return numeric
        if len(history.population) < MIN_PARENTS:
            return start(history, key, settings, search_space)
        return breed_offspring(history, key, settings)

    def _key(self, history: History, trial: FrozenTrial) -> tuple[int, ...]:
        name = _compat.given_name(history.study_name)
        return self._seed, crc32(name.encode()), trial.number

    def _check_known(self, objectives: int) -> None:
        for index in self._settings.known:
            if index not in range(objectives):
                raise ValueError(
                    f"known has the objective {index}, but the study has {objectives}, "
                    "counted from 0."
                )
