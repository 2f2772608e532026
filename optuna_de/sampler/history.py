"""Finished trials -> population, by replay: the only reader of a study's history.

Nothing is waited for and nothing is stored: a history is a cache that any process can rebuild from
the storage. :mod:`optuna_de.evolution.population` selects; this file reads trials.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_de import _compat
from optuna_de.evolution.cma_fold import CMAFold, Evaluation, RunRules
from optuna_de.evolution.genome import Genome, Value
from optuna_de.evolution.population import Finished, Fold, Member, Rules
from optuna_de.evolution.variation import Catalog
from optuna_de.halving import rungs_of
from optuna_de.sampler.numeric_space import NumericSpace
from optuna_de.sampler.plan import PLAN_KEY, Plan, stored_plan
from optuna_de.search_space.distributions import Params, hull
from optuna_de.search_space.encoding import catalog, parse_name, read, write


class History:
    """A study as the sampler sees it; a disposable cache of the storage.

    Args:
        rules: The fold.
        study_name: The study's name.
        directions: The study's directions.

    Raises:
        ValueError: Where the rules have weights, but not one per direction.
    """

    def __init__(
        self, rules: Rules, study_name: str, directions: Sequence[StudyDirection]
    ) -> None:
        if rules.weights is not None and len(rules.weights) != len(directions):
            raise ValueError(
                f"The weights {rules.weights} are {len(rules.weights)}, but the study has "
                f"{len(directions)} objectives; one weight per objective is needed."
            )
        self.study_name = study_name
        self.planned: dict[int, tuple[Any, dict[str, Value]]] = {}
        self._rules = rules
        self.signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
        self._reset()

    def _reset(self) -> None:
        self.distributions: dict[str, BaseDistribution] = {}
        self._catalog: Catalog | None = None
        self._ids: list[int] = []
        self._open: dict[int, tuple[int, Genome]] = {}  # index -> parameters known, genome
        self.plans: dict[int, Any] = {}  # number of a running trial -> its stored plan
        self.fold = Fold(self._rules)
        self.is_violated = False  # whether a trial was infeasible
        self._cma: CMAFold | None = None
        self._space: NumericSpace
        self._finished_plans: dict[int, Plan] = {}  # by the number of a finished trial
        self._genomes: dict[int, Genome] = {}
        self._known: dict[tuple[str, ...], set[Hashable]] = defaultdict(set)
        self._failed: set[Hashable] = set()
        self.memo: dict[Any, Any] = {}

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        """Take in what is new; ``trials`` are all trials of the study, by number.

        A list that is older than one seen before, as another thread may hold it, changes nothing.
        """
        if not self._continues(trials):
            self._reset()
        if len(trials) < len(self._ids):
            return
        fresh = range(len(self._ids), len(trials))
        self._ids += [_compat.trial_id(trials[i]) for i in fresh]
        for i in [*self._open, *fresh]:
            trial = trials[i]
            if trial.state.is_finished():
                self._open.pop(i, None)
                self.plans.pop(i, None)
                self._finish(trial)
                continue
            if PLAN_KEY in trial.system_attrs:
                self.plans[i] = trial.system_attrs[PLAN_KEY]
            if i not in self._open or self._open[i][0] != len(trial.params):
                self._open[i] = len(trial.params), self._genome(trial.params)
        self.fold.run()

    def _continues(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether this is the study seen so far, and not one that replaced it."""
        shared = min(len(trials), len(self._ids))
        return not shared or _compat.trial_id(trials[shared - 1]) == self._ids[shared - 1]

    def _finish(self, trial: FrozenTrial) -> None:
        self._merge(trial.distributions)
        genome = self._genome(trial.params)
        self._genomes[trial.number] = genome
        if trial.state == TrialState.FAIL:
            self._failed.add(genome.spelling())
        elif genome.flat or genome.sequences:
            self._known[tuple(sorted(genome.flat))].add(genome.spelling())
        if trial.state != TrialState.FAIL and trial.datetime_complete is not None:
            member = self._member(trial, genome)
            rungs = {at: self._losses(r.values) for at, r in rungs_of(trial.user_attrs).items()}
            entry = Finished(trial.datetime_complete, trial.number, member, genome, rungs)
            if (plan := stored_plan(trial)) is not None:
                self._finished_plans[trial.number] = plan
            position = self.fold.add(entry)
            if self._cma is not None:
                self._cma.insert(position, self._evaluation(entry))

    def _merge(self, distributions: Mapping[str, BaseDistribution]) -> None:
        for name, distribution in distributions.items():
            known = self.distributions.get(name)
            if known != distribution and (merged := hull(known, distribution)) != known:
                self.distributions[name] = merged
                self._catalog = self._cma = None

    def _genome(self, params: Params) -> Genome:
        if self._rules.repair is None:
            return read(params)
        try:
            return read(self._rules.repair(params))
        except ValueError:  # a trial of another space: it is kept as it is spelt
            return read(params)

    def _member(self, trial: FrozenTrial, genome: Genome) -> Member | None:
        if trial.state != TrialState.COMPLETE or len(trial.values) != len(self.signs):
            return None
        losses = self._losses(trial.values)
        violation = sum(max(0.0, c) for c in trial.constraints.values())
        self.is_violated |= violation > 0
        return Member(trial.number, genome, losses, violation)

    def _losses(self, values: Sequence[float]) -> tuple[float, ...]:
        return tuple(s * v for s, v in zip(self.signs, values, strict=False))

    @property
    def population(self) -> tuple[Member, ...]:
        """The current population, best first; empty before the first block is full."""
        return self.fold.population

    @property
    def generation(self) -> int:
        """The number of blocks folded so far; 0 while the initial population is drawn."""
        return self.fold.generation

    @property
    def catalog(self) -> Catalog:
        """The ranges of all genes seen so far."""
        if self._catalog is None:
            self._catalog = catalog(self.distributions)
        return self._catalog

    @property
    def repairs(self) -> bool:
        """Whether genomes are repaired, and so may differ from what was sampled."""
        return self._rules.repair is not None

    @property
    def numeric_space(self) -> NumericSpace | None:
        """The unit cube of a study of numbers; ``None`` where a trial lacks one of them."""
        if self._cma is not None and len(self._known) == 1:
            return self._space
        whole = tuple(sorted(self.distributions))
        fixed = bool(whole) and all(names == whole for names in self._known if names)
        return NumericSpace.of(self.catalog) if fixed else None

    def cma(self, space: NumericSpace) -> CMAFold:
        """Return the runs of CMA-ES in the study's numeric space."""
        if self._cma is None:
            self._cma, self._space = CMAFold(RunRules(self._rules.first, space.cells)), space
            for position, entry in enumerate(self.fold.finished):
                self._cma.insert(position, self._evaluation(entry))
        return self._cma

    def _evaluation(self, entry: Finished) -> Evaluation | None:
        plan = self._finished_plans.get(entry.number)
        if plan is None:
            return self._space.evaluation(entry, None, None)
        return self._space.evaluation(entry, plan, self.fold.start_of(plan.generation))

    def genome(self, number: int) -> Genome | None:
        """Return the genome of a finished trial."""
        return self._genomes.get(number)

    def canonical(self, params: Params) -> Genome:
        """Return the genome that parameters express, repaired where a repair is known."""
        return self._genome(params)

    def is_known(self, genome: Genome) -> bool:
        """Return whether a finished or running trial has expressed this genome.

        The flat genes of another branch do not count, so a trial speaks for all genomes that
        begin as it did; one that failed, which may have been cut short, for its own only.
        """
        return (
            genome.spelling() in self._failed
            or self._is_among(genome, self.running)
            or any(
                genome.flat.keys() >= set(names) and genome.spelling(names) in spellings
                for names, spellings in self._known.items()
            )
        )

    def is_in_generation(self, genome: Genome) -> bool:
        """Return whether a child of the generation that is under way has this genome."""
        entries = self.fold.under_way
        finished = [entry.member.genome for entry in entries if entry.member is not None]
        return self._is_among(genome, [*finished, *self.running])

    @property
    def running(self) -> list[Genome]:
        """The genomes that are being evaluated, as far as they are suggested."""
        return [genome for size, genome in self._open.values() if size]

    @property
    def open_numbers(self) -> list[int]:
        """The numbers of the trials that wait or run."""
        return list(self._open)

    def suggested(self, number: int) -> tuple[int, Genome]:
        """Return how many parameters of a running trial are suggested, and their genome."""
        return self._open[number]

    @staticmethod
    def _is_among(genome: Genome, others: Sequence[Genome]) -> bool:
        return any(
            genome.flat.keys() >= other.flat.keys()
            and genome.spelling(other.flat) == other.spelling()
            for other in others
        )

    def donors(self, name: str) -> list[Value]:
        """Return the values a gene has in the population, else at other positions, else ever."""
        spelt = [write(member.genome) for member in self.population]
        held = [params[name] for params in spelt if name in params]
        wanted = parse_name(name)
        if not held and wanted is not None:
            held = [
                value
                for params in spelt
                for other, value in params.items()
                if (p := parse_name(other)) and p == replace(wanted, position=p.position)
            ]
        return held or [g.flat[name] for g in self._genomes.values() if name in g.flat]
