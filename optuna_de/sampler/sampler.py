"""DESampler: differential evolution as an Optuna sampler. Holds a seed and disposable caches.

The population is computed from the storage at every trial (:mod:`optuna_de.sampler.history`). A
child is a pure function of its parents and of a generator seeded by (seed, study name, trial
number).
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
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
from optuna_de.evolution.population import Repair, Rules
from optuna_de.evolution.variation import Variation, draw
from optuna_de.sampler.front_offspring import plan_front
from optuna_de.sampler.history import History
from optuna_de.sampler.numeric_offspring import plan_numeric
from optuna_de.sampler.offspring import (
    ATTEMPTS,
    MIN_PARENTS,
    breed_offspring,
    replay,
    running_offspring,
    start,
)
from optuna_de.sampler.plan import PLAN_KEY, Candidate, Plan, stored_plan
from optuna_de.sampler.settings import Settings, decide_screening, prices_within
from optuna_de.sampler.space import Prices, Space, SpaceParts
from optuna_de.screening.screening import Screening
from optuna_de.search_space.distributions import Distributions, Params, fitting, range_of

_logger = logging.getLogger(__name__)


def _bytes(name: str) -> bytes:
    """Return the bytes of a name, which may hold half a surrogate pair (UTF-8 refuses it)."""
    return name.encode("utf-8", "surrogatepass")


def _tuple(numbers: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if numbers is None else tuple(map(float, numbers))


class DESampler(BaseSampler):
    """Differential evolution for flat, conditional and variable-length spaces.

    A child is ``best + scale * (r1 - r2)`` (Storn and Price, 1997), gene by gene; sequences of
    units are recognised by their parameter names (:mod:`optuna_de.search_space`) and follow the
    difference and add of the seed report. With several objectives a number that takes part is
    ``base + F * (r1 - r2)`` instead, of a fourth member and with an F in (0, 0.9) drawn for each
    child, and polynomial mutation (Deb and Agrawal, 1999) moves some; where all parameters are
    numbers every third child is the one of a pool that a local model expects to add the most
    hypervolume (after Regis and Shoemaker, 2007); so is it with one objective and constraints,
    from the first infeasible trial on. A study of one objective and numbers only, in
    which no trial was infeasible, is searched by CMA-ES (Hansen, 2016, arXiv:1604.00772), and
    every fourth child is the minimum of a quadratic model (after Hansen, 2019); on a grid 30 % of
    the children stay differences. In a study with categories or sequences the rates of crossover
    and mutation are learned, for numbers, categories and units apart, from the children that
    entered the population (after Zhang and Sanderson, 2009). All
    of it is read back from the stored trials. Survivors are chosen by Pareto rank and crowding
    distance, or by a weighted sum. Any number of workers may share a study: every finished trial
    enters the selection and none is waited for.

    Args:
        population_size: Survivors of a selection, at least 4.
        n_startup_trials: Finished trials before the first selection, drawn from the initial
            distribution, at least 4; default: half the population, which then grows to its size.
        offspring: Finished trials per selection, at least 1; 1 is steady state.
        weights: One non-negative weight per objective for a sum of min-max normalised losses;
            ``None`` selects by Pareto rank.
        n_best: ``best`` is drawn from this many best members, at least 1.
        scale: Factor F on numeric differences, ``>= 0``; 0 inherits numbers whole. With several
            objectives F is drawn unless it is 0.
        crossover: Probability CR, in ``[0, 1]``, that a gene takes part in the difference; where
            rates are learned, the first one. 0 stays 0.
        mutation: Expected number of genes of a child edited at random, ``>= 0``; with several
            objectives as many flat numbers are moved by polynomial mutation, too. Where rates are
            learned, the first one. 0 stays 0.
        space: Any object with ``initial``, ``repair``, ``accept`` and ``prices``
            (:class:`optuna_de.sampler.space.Space`), such as ``CNNSpace``. Each of the four
            arguments of these names overrides it.
        initial: ``initial(rng) -> params`` draws one member of the initial population; default:
            uniform.
        repair: ``repair(params) -> params`` returns the canonical parameters of the same
            solution. Children are stored, and duplicates detected, in this form.
        accept: ``accept(params) -> bool`` rejects a child before it becomes a trial, e.g. a
            network over a size limit. A rejected child is drawn again, at most 100 times. A unit
            kind that no trial has had yet comes without attributes; they are drawn when they are
            suggested.
        prices: Objectives that can be computed from the parameters before an evaluation, as
            ``{index: function(params) -> float}``, e.g. ``{1: space.count_parameters}``.
            Screening uses them exactly; values are in the study's direction. A price of the
            space is ignored, and logged, if the study has no such objective.
        deduplicate: Duplicate check. ``True``: no child equals a finished or running trial;
            ``"generation"``: none equals a child of its own generation; ``False``: no check. A
            finite space that is exhausted repeats trials.
        screening: Whether a Gaussian process chooses each child from a pool; a
            :class:`optuna_de.screening.screening.Screening` sets how. ``None``: on if an
            objective is known before the evaluation and scikit-learn is installed; the choice is
            logged once.
        adaptive: Whether CMA-ES, the models, the drawn F, polynomial mutation and learned rates
            are used; ``False`` is the rule of 1997 in every study. Screening takes the place of
            CMA-ES, the models and learned rates.
        reference: One value per objective, in the study's direction: the worst that is of use.
            Members beyond it come after all others, and a child that is expected there adds no
            hypervolume. A value that fewer than three of four of the first trials reach moves to
            the one that three of four do. ``None``: no such point.
        seed: Non-negative integer; ``None`` draws one. With the study's name, if the user gave
            one, and a trial's number it seeds that trial, so :meth:`reseed_rng` does not change
            it.

    Raises:
        ValueError: If an argument is out of its range; at the first trial, if ``weights`` or
            ``prices`` do not fit the study's number of objectives.
        TypeError: If ``space`` lacks some of its four names.
        ImportError: If screening is requested, but scikit-learn is not installed.

    Example:
        >>> study = optuna.create_study(
        ...     directions=["minimize", "minimize"], sampler=DESampler(seed=0)
        ... )
        >>> def objective(trial):
        ...     x = trial.suggest_float("x", -5, 5)
        ...     return x**2, (x - 2) ** 2
        >>> study.optimize(objective, n_trials=30)
        >>> all(-0.5 < trial.params["x"] < 2.5 for trial in study.best_trials)
        True
    """

    def __init__(
        self,
        *,
        population_size: int = 20,
        n_startup_trials: int | None = None,
        offspring: int = 1,
        weights: Sequence[float] | None = None,
        n_best: int = 5,
        scale: float = 0.7,
        crossover: float = 0.5,
        mutation: float = 0.5,
        space: Space | None = None,
        initial: Callable[[np.random.Generator], Params] | None = None,
        repair: Repair | None = None,
        accept: Callable[[Params], bool] | None = None,
        deduplicate: bool | Literal["generation"] = True,
        prices: Prices | None = None,
        screening: bool | Screening | None = None,
        adaptive: bool = True,
        reference: Sequence[float] | None = None,
        seed: int | None = None,
    ) -> None:
        require(seed is None or seed >= 0, "seed", seed, "None or at least 0")
        self._requires_prices = prices is not None
        self._space = None if prices is not None else space
        own = SpaceParts.of(space, initial, repair, accept, prices)
        first = max(4, population_size // 2) if n_startup_trials is None else n_startup_trials
        self._rules = Rules(
            population_size, offspring, _tuple(weights), own.repair, first, _tuple(reference)
        )
        variation = Variation(scale, crossover, mutation)
        chosen = Screening() if screening is True else screening or None
        self._settings = Settings(
            n_best, variation, own.initial, own.accept, deduplicate, own.prices, chosen, adaptive
        )
        self._decides_screening = screening is None
        self._is_seeded = seed is not None
        self._seed = secrets.randbits(64) if seed is None else int(seed)
        self._clear()

    @classmethod
    def seed_exact(
        cls,
        space: Space,
        *,
        accept: Callable[[Params], bool] | None = None,
        seed: int | None = None,
    ) -> DESampler:
        """Return the seed report's algorithm: 20 parents, 10 children, weights (0.7, 0.3).

        Difference and add exchange whole units; attributes never change and there is no random
        mutation. No two children of one generation are equal, as long as redraws find another.
        Nothing is screened.

        Args:
            space: Its ``initial`` draws the first 20 trials and its ``repair`` keeps every child
                in the space, e.g. ``CNNSpace.seed()``.
            accept: As for the sampler, instead of the space's own.
            seed: As for the sampler.
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
            space=space,
            accept=accept,
            deduplicate="generation",
            screening=False,
            adaptive=False,
            seed=seed,
        )

    @property
    def space(self) -> Space | None:
        """The space whose prices are used, if any."""
        return self._space

    def _clear(self) -> None:
        self._lock = threading.RLock()
        self._histories: WeakKeyDictionary[BaseStorage, dict[int, History]] = WeakKeyDictionary()
        self._settled: dict[int, Settings] = {}  # by the number of objectives

    def __getstate__(self) -> dict[str, Any]:
        caches = ("_lock", "_histories", "_settled")
        return {name: value for name, value in vars(self).items() if name not in caches}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._clear()

    def reseed_rng(self) -> None:
        """Draw another seed if the user gave none.

        A given seed stays: every trial has a stream of its own, so threads and processes that
        share a seed do not repeat each other.
        """
        if not self._is_seeded:
            self._seed = secrets.randbits(64)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        """Return the union of all distributions seen in the study's finished trials."""
        with self._lock:
            distributions = self._history(study).distributions
            return {name: d for name, d in distributions.items() if not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Plan the trial, store the plan and return the planned values in the search space."""
        with self._lock:
            child = self._plan(study, trial, search_space)
            self._history(study).planned[trial.number] = child
        if stored_plan(trial) is None:
            _compat.set_system_attr(study, trial, PLAN_KEY, asdict(child.plan))
            if child.plan.screened is True and self._settings.deduplicate is True:
                child = self._differ(study, trial, child)
        return {name: value for name, value in child.params.items() if name in search_space}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the planned value, else a value from the population, else a random value."""
        with self._lock:
            history = self._history(study)
            child = history.planned.get(trial.number)
            plan = child.plan if child else Plan(0, "initial", (), (self._seed, trial.number))
            rng = np.random.default_rng((*plan.key, crc32(_bytes(param_name))))
            planned = [child.params[param_name]] if child and param_name in child.params else []
            values = fitting(planned, param_distribution)
            if not values and plan.parents:
                values = fitting(history.donors(param_name), param_distribution)
        if values:
            return values[int(rng.random() * len(values))]
        if plan.parents:
            _logger.debug("Trial %d: %s is drawn at random.", trial.number, param_name)
        return draw(range_of(param_distribution), rng)

    def _differ(self, study: Study, trial: FrozenTrial, child: Candidate) -> Candidate:
        """Breed again while another worker has planned the same child at the same time.

        Each looks after it has written, so at least one of two sees the other.
        """
        settings = self._settings_of(study)
        for _ in range(ATTEMPTS):
            with self._lock:
                history = self._history(study, fresh=True)
                others = running_offspring(history, settings, trial.number)
                if child.genome.spelling() not in {o.genome.spelling() for o in others}:
                    break
                child = breed_offspring(history, self._key(history, trial), settings)
                history.planned[trial.number] = child
            _compat.set_system_attr(study, trial, PLAN_KEY, asdict(child.plan))
        return child

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
            self._settings_of(study)
            histories[study_id] = History(self._rules, study.study_name, study.directions)
        trials = _compat.fresh_trials_of(study) if fresh else _compat.trials_of(study)
        histories[study_id].update(trials)
        return histories[study_id]

    def _settings_of(self, study: Study) -> Settings:
        """Return the settings for a study: prices of its objectives, screening decided."""
        objectives = len(study.directions)
        if objectives not in self._settled:
            settings = self._settings
            prices = prices_within(settings.prices, objectives, required=self._requires_prices)
            screening = decide_screening(prices) if self._decides_screening else settings.screening
            self._settled[objectives] = replace(settings, prices=prices, screening=screening)
        return self._settled[objectives]

    def _plan(self, study: Study, trial: FrozenTrial, search_space: Distributions) -> Candidate:
        history, settings = self._history(study), self._settings_of(study)
        stored = stored_plan(trial)
        if stored is not None:
            return replay(stored, history, settings, search_space)
        key = self._key(history, trial)
        numeric = plan_numeric(history, key, settings, search_space)
        if numeric is not None:
            return numeric
        if len(history.population) < MIN_PARENTS:
            return start(history, key, settings, search_space)
        front = plan_front(history, key, settings)
        if front is not None:
            return front
        return breed_offspring(history, key, settings)

    def _key(self, history: History, trial: FrozenTrial) -> tuple[int, ...]:
        name = _compat.given_name(history.study_name)
        return self._seed, crc32(_bytes(name)), trial.number
