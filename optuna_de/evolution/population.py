"""Population as a fold over finished trials, in order of completion. No Optuna.

The first ``startup`` trials are taken together, then ``offspring`` at a time:
``population = survivors(population + block)``. A trial that arrives late is inserted at its place,
and the populations after it are computed again.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import isnan
from typing import NamedTuple

from optuna_de._checks import require, require_weights
from optuna_de.evolution import selection
from optuna_de.evolution.genome import Value
from optuna_de.evolution.pareto import Point, pareto_ranks
from optuna_de.evolution.reference import excess, reachable_reference

Repair = Callable[[Mapping[str, Value]], Mapping[str, Value]]


@dataclass(frozen=True, slots=True)
class Rules:
    """Parameters of selection, see :class:`optuna_de.DESampler`.

    Raises:
        ValueError: If a value is out of its range.
    """

    population_size: int
    offspring: int
    weights: tuple[float, ...] | None = None
    repair: Repair | None = None
    startup: int | None = None
    reference: Point | None = None

    def __post_init__(self) -> None:
        size, first = self.population_size, self.first
        require(size >= 4, "population_size", size, "at least 4")
        require(first >= 4, "n_startup_trials", first, "at least 4")
        require(self.offspring >= 1, "offspring", self.offspring, "at least 1")
        require_weights(self.weights)
        right = self.reference is None or not any(map(isnan, self.reference))
        require(right, "reference", self.reference, "None or numbers")

    @property
    def first(self) -> int:
        """Trials of the first block."""
        return self.population_size if self.startup is None else self.startup


class Finished(NamedTuple):
    """Finished trial in the order of completion, ties by number.

    Losses are minimised, a violation of 0 is feasible. A pruned trial fills a block but has no
    losses: it is no member.
    """

    completed: datetime
    number: int
    losses: tuple[float, ...] | None
    violation: float = 0.0


Population = tuple[Finished, ...]


class Fold:
    """Populations as a function of the finished trials; a disposable cache.

    Args:
        rules: Block sizes, and how survivors are chosen.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.finished: list[Finished] = []
        self._populations: list[Population] = []
        self._incumbents: _Incumbents | None = None
        self._ranked: tuple[Population, list[int] | None] = (), None  # selected last
        self._entries: dict[int, list[int]] = {}  # by block: who entered
        self._reached: list[Point] = []  # the reference point, once the first block is full

    def add(self, trial: Finished) -> int:
        """Insert a trial at its place, and return the place; :meth:`run` takes it in."""
        if not self.finished or trial > self.finished[-1]:
            self.finished.append(trial)
            return len(self.finished) - 1
        position = bisect(self.finished, trial)
        self.finished.insert(position, trial)
        self._forget_from(position)
        return position

    def run(self) -> None:
        """Fold every block that is full."""
        start, end = self.start_of(self.generation), self.start_of(self.generation + 1)
        while end <= len(self.finished):
            if skipped := self._skip(start):
                start, end = start + skipped, end + skipped
                continue
            block = self.finished[start:end]
            if self.rules.reference is not None:
                block = [*map(self._judged, block)]
            block = [t for t in block if t.losses is not None]
            self._populations.append(self._survivors(self.population, block))
            start, end = end, end + self.rules.offspring

    def _skip(self, start: int) -> int:
        """Fold blocks of one trial while each comes last, and return how many; most do."""
        known, rules = self._incumbents, self.rules
        if known is None or not known.settled or known.population is not self.population:
            return 0
        if rules.offspring > 1 or rules.reference is not None:
            return 0
        end = start
        while end < len(self.finished) and known.precede(self.finished[end]):
            end += 1
        self._populations += [known.population] * (end - start)
        return end - start

    @property
    def population(self) -> Population:
        """The current population, best first; empty before the first block is full."""
        return self._populations[-1] if self._populations else ()

    @property
    def generation(self) -> int:
        """The number of blocks folded so far."""
        return len(self._populations)

    @property
    def reference(self) -> Point | None:
        """The reference point, as the first block reaches it; None if there is none yet."""
        if self.rules.reference is None or not self._reached:
            return None
        return self._reached[0]

    def entered(self, blocks: int) -> list[int]:
        """Return the numbers of the trials of the last blocks that entered a full population."""
        known, recent = self._entries, range(max(1, self.generation - blocks), self.generation)
        self._entries = {b: known[b] if b in known else self._entry(b) for b in recent}
        return [number for entry in self._entries.values() for number in entry]

    def _entry(self, block: int) -> list[int]:
        before, after = self._populations[block - 1 : block + 1]
        if after is before or len(before) < self.rules.population_size:
            return []
        members = {member.number for member in after}
        new = self.finished[self.start_of(block) : self.start_of(block + 1)]
        return [trial.number for trial in new if trial.number in members]

    @property
    def under_way(self) -> Sequence[Finished]:
        """The finished trials of the block that is not full."""
        return self.finished[self.start_of(self.generation) :]

    def start_of(self, block: int) -> int:
        """Return the position in completion order at which a block starts."""
        first, offspring = self.rules.first, self.rules.offspring
        return 0 if block == 0 else first + (block - 1) * offspring

    def _forget_from(self, position: int) -> None:
        """Drop the populations that a trial inserted at a position changes."""
        first, offspring = self.rules.first, self.rules.offspring
        block = 0 if position < first else 1 + (position - first) // offspring
        del self._populations[block:]
        self._entries.clear()
        del self._reached[block:]

    def _judged(self, trial: Finished) -> Finished:
        """Return a trial whose losses beyond the reference point count as a violation."""
        assert self.rules.reference is not None
        if trial.losses is None:
            return trial
        if not self._reached:
            block = (t.losses for t in self.finished[: self.rules.first])
            first = [losses for losses in block if losses is not None]
            self._reached = [reachable_reference(self.rules.reference, first)]
        beyond = excess(trial.losses, self._reached[0])
        return Finished(*trial[:3], trial.violation + beyond) if beyond else trial

    def _survivors(self, population: Population, block: Sequence[Finished]) -> Population:
        """Select from a population and a block; most blocks of a long study come last."""
        if len(population) < self.rules.population_size:
            return self._select((*population, *block))
        if self._incumbents is None or self._incumbents.population is not population:
            ranks = self._ranked[1] if self._ranked[0] is population else None
            self._incumbents = _Incumbents.of(population, self.rules.weights, ranks)
        if not all(map(self._incumbents.precede, block)):
            return self._select((*population, *block))
        if not self._incumbents.settled:
            ordered = self._select(population)
            self._incumbents = self._incumbents.reordered(ordered)
        return self._incumbents.population

    def _select(self, members: Population) -> Population:
        """Select survivors, and keep their Pareto ranks: all that dominate one survive, too."""
        if not members:
            return ()
        points = [m.losses for m in members if m.losses is not None]
        violations = [m.violation for m in members]
        by_rank = self.rules.weights is None and len(points[0]) > 1
        ranks = pareto_ranks(points) if by_rank else None
        ranking = selection.order(
            points, weights=self.rules.weights, violations=violations, ranks=ranks
        )[: self.rules.population_size]
        kept = [ranks[i] for i in ranking] if ranks and not any(violations) else None
        self._ranked = tuple([members[i] for i in ranking]), kept
        return self._ranked[0]


@dataclass(frozen=True, slots=True)
class _Incumbents:
    """A full population, and what tells newcomers that none of its members has to fear.

    Args:
        population: The members, best first.
        comes_last: The test of :func:`optuna_de.evolution.selection.comes_last`.
        violation: The members' largest violation.
        settled: Whether selection is known to return the population as it is.
    """

    population: Population
    comes_last: selection.Test
    violation: float
    settled: bool = False

    @classmethod
    def of(
        cls,
        population: Population,
        weights: Sequence[float] | None,
        ranks: Sequence[int] | None = None,
    ) -> _Incumbents:
        points = [m.losses for m in population if m.losses is not None]
        worst = max([m.violation for m in population])
        return cls(population, selection.comes_last(points, weights, ranks), worst)

    def precede(self, newcomer: Finished) -> bool:
        """Return whether a newcomer comes behind all members and changes none of their places."""
        losses = newcomer.losses
        return (
            losses is not None and newcomer.violation >= self.violation and self.comes_last(losses)
        )

    def reordered(self, ordered: Population) -> _Incumbents:
        """Return the same members in the order that selection gave them."""
        if ordered == self.population:
            return replace(self, settled=True)
        return replace(self, population=ordered)
