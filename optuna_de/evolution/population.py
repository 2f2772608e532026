"""The fold: finished trials, in the order of their completion, -> population. No Optuna.

The first ``startup`` trials are taken together, then ``offspring`` at a time:
``population = survivors(population + block)``. A trial that arrives late is put in its place,
and the populations behind it are folded anew.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from optuna_de._checks import require, require_weights
from optuna_de.evolution import selection
from optuna_de.evolution.genome import Genome, Value

Repair = Callable[[Mapping[str, Value]], Mapping[str, Value]]


@dataclass(frozen=True, slots=True)
class Rules:
    """How trials become a population, see :class:`optuna_de.DESampler`.

    Raises:
        ValueError: Where a value is out of its range.
    """

    population_size: int
    offspring: int
    weights: tuple[float, ...] | None = None
    repair: Repair | None = None
    startup: int | None = None

    def __post_init__(self) -> None:
        size, first = self.population_size, self.first
        require(size >= 4, "population_size", size, "at least 4")
        require(first >= 4, "n_startup_trials", first, "at least 4")
        require(self.offspring >= 1, "offspring", self.offspring, "at least 1")
        require_weights(self.weights)

    @property
    def first(self) -> int:
        """Trials of the first block."""
        return self.population_size if self.startup is None else self.startup


@dataclass(frozen=True, slots=True)
class Member:
    """An evaluated individual: losses are minimised, a violation of 0 is feasible."""

    number: int
    genome: Genome
    losses: tuple[float, ...]
    violation: float


@dataclass(frozen=True, slots=True, order=True)
class Finished:
    """A trial that counts in the fold; pruned ones fill a block but are no members.

    ``rungs`` are the losses at the epochs where early stopping looked at it.
    """

    completed: datetime
    number: int
    member: Member | None = field(compare=False)
    genome: Genome = field(compare=False)
    rungs: Mapping[int, tuple[float, ...]] = field(compare=False)


class Fold:
    """Populations as a function of the finished trials; a disposable cache.

    Args:
        rules: How trials are taken, and how survivors are chosen.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.finished: list[Finished] = []
        self._populations: list[tuple[Member, ...]] = []

    def add(self, entry: Finished) -> int:
        """Put a trial in its place, and return which it is; :meth:`run` takes it in."""
        position = bisect(self.finished, entry)
        self.finished.insert(position, entry)
        self._forget_from(position)
        return position

    def run(self) -> None:
        """Fold every block that is full."""
        while len(self.finished) >= self.start_of(len(self._populations) + 1):
            block = self._block(len(self._populations))
            self._populations.append(self._survivors((*self.population, *block)))

    @property
    def population(self) -> tuple[Member, ...]:
        """The current population, best first; empty before the first block is full."""
        return self._populations[-1] if self._populations else ()

    @property
    def generation(self) -> int:
        """The number of blocks folded so far."""
        return len(self._populations)

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

    def _block(self, block: int) -> list[Member]:
        entries = self.finished[self.start_of(block) : self.start_of(block + 1)]
        return [entry.member for entry in entries if entry.member is not None]

    def _survivors(self, members: tuple[Member, ...]) -> tuple[Member, ...]:
        if not members:
            return ()
        ranking = selection.order(
            np.array([m.losses for m in members]),
            weights=self.rules.weights,
            violations=np.array([m.violation for m in members]),
        )
        return tuple(members[i] for i in ranking[: self.rules.population_size])
