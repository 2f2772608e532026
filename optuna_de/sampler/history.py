"""History of a study: reads its trials and keeps the population.

It never waits and stores nothing; any process can rebuild it from the storage.
:mod:`optuna_de.evolution.population` selects; this file reads trials. A genome is read when it is
needed: of the finished trials, only parents and possible duplicates are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter, methodcaller, mul
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_de import _compat
from optuna_de.evolution.cma_fold import CMAFold, Evaluation, RunRules
from optuna_de.evolution.genome import Genome, Value
from optuna_de.evolution.pareto import signs_of
from optuna_de.evolution.population import Finished, Fold, Population, Rules
from optuna_de.evolution.variation import Catalog
from optuna_de.halving import rungs_of
from optuna_de.sampler.duplicates import FinishedGenomes, RunningGenomes, is_part
from optuna_de.sampler.numeric_space import NumericSpace
from optuna_de.sampler.plan import PLAN_KEY, Candidate, Plan, stored_plan
from optuna_de.search_space.distributions import Distributions, Params, hull, is_same
from optuna_de.search_space.encoding import (
    Sequences,
    catalog,
    find_sequences,
    parse_name,
    read,
    write,
)

_NOTHING = 0, Genome({}, {})
_FIELDS = attrgetter("__dict__")  # of a distribution
_IS_CONSTRAINT = methodcaller("startswith", "constraints")  # of an attribute's name


class History:
    """A study as the sampler sees it; a disposable cache of the storage.

    Args:
        rules: Block sizes, and how survivors are chosen.
        study_name: The study's name.
        directions: The study's directions.

    Raises:
        ValueError: If the rules have weights, but not one per direction.
    """

    def __init__(
        self, rules: Rules, study_name: str, directions: Sequence[StudyDirection]
    ) -> None:
        if rules.weights is not None and len(rules.weights) != len(directions):
            raise ValueError(
                f"The weights {rules.weights} are {len(rules.weights)}, but the study has "
                f"{len(directions)} objectives; one weight per objective is needed."
            )
        if rules.reference is not None and len(rules.reference) != len(directions):
            raise ValueError(
                f"The reference {rules.reference} has {len(rules.reference)} values, but the "
                f"study has {len(directions)} objectives; one value per objective is needed."
            )
        self.study_name = study_name
        self.planned: dict[int, Candidate] = {}
        self._rules = rules
        self.signs = signs_of(directions)
        if rules.reference is not None:
            self._rules = replace(rules, reference=tuple(map(mul, self.signs, rules.reference)))
        self._minimises = all(sign > 0 for sign in self.signs)
        self._reset()

    def _reset(self) -> None:
        self.distributions: dict[str, BaseDistribution] = {}
        self._merged: object = None  # names, types and fields of the last trial's
        self._named: object = None  # the last of these that a name set was taken from
        self._names: dict[str, BaseDistribution] = {}  # those of running trials, too
        self._ids: list[int] = []
        self._finished: dict[int, FrozenTrial] = {}
        self._open: dict[int, tuple[int, Genome]] = {}  # index -> parameters known, genome
        self.plans: dict[int, Any] = {}  # number of a running trial -> its stored plan
        self.fold = Fold(self._rules)
        self.is_violated = False  # whether a trial was infeasible
        self._name_sets: set[frozenset[str]] = set()  # of finished trials
        self.memo: dict[Any, Any] = {}
        self._sequences: Sequences = {}
        self._forget_genomes()

    def _forget_genomes(self) -> None:
        """Drop all that depends on which sequences the study has."""
        self._catalog: Catalog | None = None
        self._cma: CMAFold | None = None
        self._space: NumericSpace
        self._genomes: dict[int, Genome] = {}
        self._unrecorded = list(self._finished)
        # of a float, unrecorded trials by its value, and how many are in it
        self._columns: dict[str, tuple[int, dict[Any, list[int]]]] = {}
        self._known = FinishedGenomes(self._read_finished)
        self._failed = FinishedGenomes(self._read_finished)
        self._running = RunningGenomes()
        self._open = dict.fromkeys(self._open, _NOTHING)

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        """Take in what is new; ``trials`` are all trials of the study, by number.

        The list may grow meanwhile. One that is older than one seen before, as another thread may
        hold it, changes nothing.
        """
        if not self._continues(trials):
            self._reset()
        fresh = range(len(self._ids), len(trials))
        if len(trials) < len(self._ids):
            return
        self._ids += map(_compat.trial_id, trials[fresh.start : fresh.stop])
        changed = [*(i for i in self._open if self._has_changed(i, trials[i])), *fresh]
        if self._finds_sequences(trials[i].distributions for i in changed):
            changed = [*self._open, *fresh]
        for i in changed:
            if i in self._open:
                self._close(i)
            if trials[i].state.is_finished():
                self._finish(trials[i])
            else:
                self._watch(i, trials[i])
        self.fold.run()

    def _continues(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether this is the study seen so far, and not one that replaced it."""
        shared = min(len(trials), len(self._ids))
        return not shared or _compat.trial_id(trials[shared - 1]) == self._ids[shared - 1]

    def _has_changed(self, index: int, trial: FrozenTrial) -> bool:
        """Return whether a trial finished, suggested more or got a plan since it was last seen."""
        return (
            trial.state.is_finished()
            or len(trial.params) != self._open[index][0]
            or (index not in self.plans and PLAN_KEY in trial.system_attrs)
        )

    def _finds_sequences(self, distributions: Iterable[Distributions]) -> bool:
        """Return whether new names change the sequences; genomes are then read again."""
        suspected = False
        names = self._names.keys()
        for known in distributions:
            if not known.keys() <= names:
                suspected |= any(parse_name(name) for name in known.keys() - self._names.keys())
                self._names |= known
        if not suspected or (sequences := find_sequences(self._names)) == self._sequences:
            return False
        self._sequences = sequences
        self._forget_genomes()
        return True

    def _close(self, index: int) -> None:
        size, genome = self._open.pop(index)
        if size:
            self._running.remove(genome)

    def _watch(self, index: int, trial: FrozenTrial) -> None:
        self._open[index] = size, genome = len(trial.params), self._read(trial.params)
        if size:
            self._running.add(genome)
        if PLAN_KEY in trial.system_attrs:
            self.plans[index] = trial.system_attrs[PLAN_KEY]

    def _finish(self, trial: FrozenTrial) -> None:
        self.plans.pop(trial.number, None)
        self._merge(trial.distributions)
        self._finished[trial.number] = trial
        self._unrecorded.append(trial.number)
        if trial.state == TrialState.FAIL:
            return
        if self._named is not self._merged and trial.params:
            self._named = self._merged
            self._name_sets.add(frozenset(trial.params))
        if trial.datetime_complete is not None:
            self._fold(trial, trial.datetime_complete)

    def _fold(self, trial: FrozenTrial, completed: datetime) -> None:
        losses = self._member_losses(trial)
        violation = 0.0 if losses is None else violation_of(trial)
        self.is_violated |= violation > 0
        finished = Finished(wall_clock(completed), trial.number, losses, violation)
        position = self.fold.add(finished)
        if self._cma is not None:
            self._cma.insert(position, self._evaluation(finished))

    def _merge(self, distributions: Distributions) -> None:
        """Widen the known ranges; those of the trial before, which most have, change nothing."""
        ranges = distributions.values()
        last = [*distributions], [*map(type, ranges)], [*map(_FIELDS, ranges)]
        if last == self._merged:
            return
        self._merged = last
        for name, distribution in distributions.items():
            known = self.distributions.get(name)
            if known is not None and is_same(known, distribution):
                continue
            if known != distribution and (merged := hull(known, distribution)) != known:
                self.distributions[name] = merged
                self._catalog = self._cma = None

    def _member_losses(self, trial: FrozenTrial) -> tuple[float, ...] | None:
        """Return the losses of a trial that may be a member of a population."""
        if trial.state != TrialState.COMPLETE or not self._is_whole(trial.values):
            return None
        return self._losses(trial.values)

    def _is_whole(self, values: Sequence[float]) -> bool:
        """Return whether there is one value per objective, which a stranger's may lack."""
        return len(values) == len(self.signs)

    def _losses(self, values: Sequence[float]) -> tuple[float, ...]:
        if self._minimises:
            return tuple(map(float, values))
        return tuple(map(mul, self.signs, values))

    def repaired(self, params: Params) -> Params:
        """Return the canonical parameters; those of a trial of another space stay as they are."""
        try:
            return params if self._rules.repair is None else self._rules.repair(params)
        except ValueError:
            return params

    def read(self, params: Params) -> Genome:
        """Return the genome of parameters that are canonical already."""
        return read(params, self._sequences)

    def _read(self, params: Params) -> Genome:
        return self.read(self.repaired(params))

    def _read_finished(self, number: int) -> Genome:
        return self._read(self._finished[number].params)

    @property
    def population(self) -> Population:
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
            self._catalog = catalog(self.distributions, self._sequences)
        return self._catalog

    @property
    def repairs(self) -> bool:
        """Whether genomes are repaired, and so may differ from what was sampled."""
        return self._rules.repair is not None

    @property
    def numeric_space(self) -> NumericSpace | None:
        """The unit cube of a study of numbers; ``None`` if a trial lacks one of them."""
        if self._name_sets != {frozenset(self.distributions)}:
            return None
        return NumericSpace.of(self.catalog) if self._cma is None else self._space

    def cma(self, space: NumericSpace) -> CMAFold:
        """Return the runs of CMA-ES in the study's numeric space."""
        if self._cma is None:
            self._cma, self._space = CMAFold(RunRules(self._rules.first, space.cells)), space
            for position, finished in enumerate(self.fold.finished):
                self._cma.insert(position, self._evaluation(finished))
        return self._cma

    def _evaluation(self, finished: Finished) -> Evaluation | None:
        trial = self._finished[finished.number]
        return self._space.evaluation(finished, trial.params, stored_plan(trial))

    def params(self, number: int) -> Params:
        """Return a finished trial's parameters as they are stored."""
        return self._finished[number].params

    def plan(self, number: int) -> Plan | None:
        """Return the plan that a finished trial stores; None if it has none."""
        return stored_plan(self._finished[number])

    def constraints(self, number: int) -> list[float]:
        """Return a finished trial's constraints in the order of their names."""
        trial = self._finished[number]
        return [value for _, value in sorted(trial.constraints.items())]

    def genome(self, number: int) -> Genome | None:
        """Return the genome of a finished trial; it is read when it is first asked for."""
        if number not in self._genomes and number in self._finished:
            self._genomes[number] = self._read_finished(number)
        return self._genomes.get(number)

    def rungs(self, number: int) -> dict[int, tuple[float, ...]]:
        """Return a finished trial's losses at the epochs where early stopping looked at it."""
        rungs = rungs_of(self._finished[number].user_attrs)
        whole = ((e, rung.values) for e, rung in rungs.items() if self._is_whole(rung.values))
        return {epoch: self._losses(values) for epoch, values in whole}

    def canonical(self, params: Params) -> Genome:
        """Return the genome that parameters express, repaired if a repair is known."""
        return self._read(params)

    def is_known(self, genome: Genome) -> bool:
        """Return whether a finished or running trial has expressed this genome.

        The flat genes of another branch do not count, so a trial speaks for all genomes that
        begin as it did; one that failed, which may have been cut short, for its own only.
        """
        self._record(genome)
        return (
            self._failed.has(genome)
            or self._running.has_part_of(genome)
            or self._known.has_part_of(genome)
        )

    def _record(self, genome: Genome) -> None:
        """Record the finished trials that may equal a genome."""
        for number in self._suspects(genome):
            finished = self._read_finished(number)
            if self._finished[number].state == TrialState.FAIL:
                self._failed.add(number, finished)
            elif finished.flat or finished.sequences:
                self._known.add(number, finished)

    def _suspects(self, genome: Genome) -> list[int]:
        """Return the unrecorded trials that have a genome's first float, or lack that gene.

        Without a float, or with a repair, these are all of them.
        """
        floats = (
            n for n in genome.flat if isinstance(self.distributions.get(n), FloatDistribution)
        )
        name = next(floats, None)
        if self.repairs or name is None:
            suspects, self._unrecorded, self._columns = self._unrecorded, [], {}
            return suspects
        seen, column = self._columns.get(name, (0, {}))
        for number in self._unrecorded[seen:]:
            column.setdefault(self._finished[number].params.get(name), []).append(number)
        self._columns[name] = len(self._unrecorded), column
        return [*column.pop(None, ()), *column.pop(genome.flat[name], ())]

    def is_in_generation(self, genome: Genome) -> bool:
        """Return whether a child of the generation that is under way has this genome."""
        members = [t.number for t in self.fold.under_way if t.losses is not None]
        return self._running.has_part_of(genome) or any(
            is_part(other, genome) for n in members if (other := self.genome(n)) is not None
        )

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

    def donors(self, name: str) -> list[Value]:
        """Return the values a gene has in the population, else at other positions, else ever."""
        members = (self.genome(member.number) for member in self.population)
        spelt = [write(genome) for genome in members if genome is not None]
        held = [params[name] for params in spelt if name in params]
        wanted = parse_name(name)
        if not held and wanted is not None and wanted.sequence in self._sequences:
            held = [
                value
                for params in spelt
                for other, value in params.items()
                if (p := parse_name(other)) and p == replace(wanted, position=p.position)
            ]
        return held or [
            genome.flat[name]
            for number, trial in self._finished.items()
            if name in trial.params and name in (genome := self._read_finished(number)).flat
        ]


def violation_of(trial: FrozenTrial) -> float:
    """Return by how much a trial violates its constraints in total; 0 is feasible."""
    if not any(map(_IS_CONSTRAINT, trial.system_attrs)):  # Optuna's property is slow
        return 0.0
    return sum([max(0.0, c) for c in trial.constraints.values()])


def wall_clock(moment: datetime) -> datetime:
    """Return a time without its zone, which databases do not keep and Optuna does not write."""
    return moment if moment.tzinfo is None else moment.replace(tzinfo=None)
