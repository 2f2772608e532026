"""Samplers to compare with, by name; every call of a factory makes a fresh one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIIISampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from benchmarks.common.results import Array
from optuna_de.sampler.space import Prices

Space = dict[str, BaseDistribution]
Genome = dict[str, Any]
MakeSampler = Callable[[int], BaseSampler]  # seed -> sampler


class _Evolution(BaseSampler):
    """An evolution strategy for a fixed space and one worker: random first, then ``_child``."""

    def __init__(self, population: int, seed: int) -> None:
        self._population = population
        self._rng = np.random.default_rng(seed)
        self._random = RandomSampler(seed)
        self._told: list[tuple[Genome, list[float]]] = []

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        """Return the space of the first finished trial."""
        return dict(study.trials[0].distributions) if self._told else {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Space) -> Genome:
        """Return a child once the first population is complete."""
        return self._child(search_space) if len(self._told) >= self._population else {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Draw at random."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Remember a finished trial."""
        if values is not None:
            self._told.append((dict(trial.params), list(values)))

    def _child(self, space: Space) -> Genome:
        raise NotImplementedError

    def _other(self, distribution: BaseDistribution, value: Any) -> Any:
        match distribution:
            case CategoricalDistribution():
                choices = list(distribution.choices)
            case IntDistribution():
                choices = list(range(distribution.low, distribution.high + 1))
            case _:
                raise ValueError(f"only categories and integers are evolved, got {distribution}")
        choices.remove(value)
        return choices[self._rng.integers(len(choices))]


class RegularizedEvolution(_Evolution):
    """Ageing evolution (Real et al., 2019): the youngest 20, a tournament of 5, one mutation.

    With several objectives the parent is drawn from the tournament's non-dominated members.
    """

    def __init__(self, population: int = 20, sample: int = 5, seed: int = 0) -> None:
        super().__init__(population, seed)
        self._sample = sample

    def _child(self, space: Space) -> Genome:
        alive = self._told[-self._population :]
        picked = self._rng.choice(len(alive), self._sample, replace=False)
        losses = np.array([alive[i][1] for i in picked])
        front = [picked[i] for i in range(len(picked)) if not dominated(losses[i], losses)]
        child = dict(alive[self._rng.choice(front)][0])
        name = list(space)[self._rng.integers(len(space))]
        child[name] = self._other(space[name], child[name])
        return child


def dominated(loss: Array, losses: Array) -> bool:
    """Return whether some row of losses (n, k) is at least as good and somewhere better."""
    return bool(np.any(np.all(losses <= loss, axis=1) & np.any(losses < loss, axis=1)))


class SeedRules(_Evolution):
    """The seed system's rules on a flat space: population 20, 10 children, weights 0.7 and 0.3."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(20, seed)
        self._ranked: list[tuple[Genome, list[float]]] = []
        self._folded = 0

    def _child(self, space: Space) -> Genome:
        self._fold()
        siblings = [genome for genome, _ in self._told[self._folded :]]
        for _ in range(50):
            child = self._cross(space)
            if child not in siblings:
                break
        return child

    def _fold(self) -> None:
        block = 10 if self._folded else 20
        if len(self._told) - self._folded >= block:
            merged = self._ranked + self._told[self._folded :]
            losses = np.array([values for _, values in merged])
            span = np.ptp(losses, axis=0)
            scaled = (losses - losses.min(axis=0)) / np.where(span > 0, span, 1)
            score = scaled @ np.array([0.7, 0.3])[: losses.shape[1]]
            self._ranked = [merged[i] for i in np.argsort(score, kind="stable")[:20]]
            self._folded = len(self._told)

    def _cross(self, space: Space) -> Genome:
        best = int(self._rng.integers(5))
        others = self._rng.choice([i for i in range(20) if i != best], 2, replace=False)
        base, one, two = (self._ranked[i][0] for i in (best, *others))
        return {n: base[n] if one[n] == two[n] else one[n] for n in space}


def differential(seed: int, **options: Any) -> BaseSampler:
    """Return this package's sampler."""
    from optuna_de import DESampler
    from optuna_de.screening.screening import Screening

    if isinstance(options.get("screening"), dict):
        options["screening"] = Screening(**options["screening"])
    sampler: BaseSampler = DESampler(seed=seed, **options)
    return sampler


def gaussian(seed: int) -> BaseSampler:
    """Return Optuna's Gaussian process with expected hypervolume improvement; needs torch."""
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed)


def botorch(seed: int) -> BaseSampler:
    """Return BoTorch's sampler of optuna-integration, where both are installed."""
    module = import_module("optuna_integration")
    sampler: BaseSampler = module.BoTorchSampler(seed=seed)
    return sampler


def from_hub(package: str, name: str, seed: int) -> BaseSampler:
    """Return a sampler of OptunaHub; needs a network, or a copy in optunahub's cache."""
    import optunahub

    module = optunahub.load_module(f"samplers/{package}")
    sampler: BaseSampler = getattr(module, name)(seed=seed)
    return sampler


PEERS: dict[str, MakeSampler] = {
    "de": differential,
    "random": lambda seed: RandomSampler(seed),
    "nsga2": lambda seed: NSGAIISampler(population_size=20, seed=seed),
    "nsga2-50": lambda seed: NSGAIISampler(population_size=50, seed=seed),
    "nsga3": lambda seed: NSGAIIISampler(population_size=20, seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "regevo": lambda seed: RegularizedEvolution(seed=seed),
    "seed-rules": lambda seed: SeedRules(seed),
    "hub-de": lambda seed: from_hub("differential_evolution", "DESampler", seed),
    "auto": lambda seed: from_hub("auto_sampler", "AutoSampler", seed),
    "gp": gaussian,
    "botorch": botorch,
}
SCREENED = 'de{"screening": true}'


def maker(name: str, prices: Prices | None = None) -> MakeSampler:
    """Return a factory: a key of ``PEERS``, or ``de{"option": value}`` with JSON options.

    ``de-screened`` is ``de{"screening": true}``. Where screening is on and the options do not say
    ``"prices": null``, the objectives known before the evaluation are exact.

    Raises:
        ValueError: if there is no such sampler.
    """
    name = SCREENED if name == "de-screened" else name
    if name.startswith("de{"):
        options = json.loads(name[2:])
        if options.get("screening"):
            options = {"prices": prices, **options}
        return partial(differential, **options)
    if name not in PEERS:
        raise ValueError(f"sampler must be one of {', '.join(PEERS)}, got {name!r}")
    return PEERS[name]


def quiet() -> None:
    """Silence Optuna's log; it would be most of the output."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
