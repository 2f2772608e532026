"""From a population to a child and the plan that made it. Knows no Optuna.

A plan names the parents and the generator, so that a child can be bred again from the storage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optuna_de.genome import Genome
from optuna_de.population import History, Member
from optuna_de.space import write
from optuna_de.variation import Variation, vary

ATTEMPTS = 100
MIN_PARENTS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """How a trial's genome came to be; stored with the trial.

    Args:
        generation: Blocks folded when the trial was planned; 0 for the initial population.
        operator: ``"initial"``, ``"difference"``, or ``"edit"`` (a difference, then an edit).
        parents: Trial numbers of ``(best, r1, r2)``; empty for the initial population.
        key: Non-negative integers that seed the generator.
    """

    generation: int
    operator: str
    parents: tuple[int, ...]
    key: tuple[int, ...]

    @classmethod
    def load(cls, stored: Any) -> Plan:
        """Read a plan from a trial's system attribute."""
        return cls(
            int(stored["generation"]),
            str(stored["operator"]),
            tuple(stored["parents"]),
            tuple(stored["key"]),
        )

    def rng(self, stream: int = 0) -> np.random.Generator:
        """Return one of the plan's generators."""
        return np.random.default_rng((*self.key, stream))


def breed(
    history: History,
    key: tuple[int, ...],
    n_best: int,
    variation: Variation,
    is_taken: Callable[[Genome], bool],
    *,
    editing: bool,
) -> tuple[Plan, Genome]:
    """Plan and breed a child that is not taken.

    A taken child is drawn again, at most ``ATTEMPTS`` times; with ``editing``, more and more genes
    are edited at random in the second half of the attempts. The last child is returned even if
    it is taken: a finite space may hold no other.
    """
    for attempt in range(ATTEMPTS):
        operator = "edit" if editing and attempt >= ATTEMPTS // 2 else "difference"
        parents = _choose(history.population, n_best, np.random.default_rng((*key, attempt, 1)))
        numbers = tuple(member.number for member in parents)
        plan = Plan(history.generation, operator, numbers, (*key, attempt))
        child = _bear(plan, [m.genome for m in parents], history, variation)
        if not is_taken(child):
            break
    return plan, child


def rebreed(plan: Plan, history: History, variation: Variation) -> Genome | None:
    """Return the child that a plan describes; ``None`` where a parent is gone."""
    parents = [genome for n in plan.parents if (genome := history.genome(n)) is not None]
    return _bear(plan, parents, history, variation) if len(parents) == MIN_PARENTS else None


def _bear(plan: Plan, parents: Sequence[Genome], history: History, variation: Variation) -> Genome:
    best, a, b = parents
    forced = max(0, plan.key[-1] - ATTEMPTS // 2 + 1) if plan.operator == "edit" else 0
    child = vary((best, a, b), history.catalog, variation, plan.rng(), forced=forced)
    return history.canonical(write(child))


def _choose(
    population: tuple[Member, ...], n_best: int, rng: np.random.Generator
) -> tuple[Member, ...]:
    """Choose best uniformly from the ``n_best`` best, then two others that all differ."""
    best = int(rng.random() * min(n_best, len(population)))
    others = [i for i in range(len(population)) if i != best]
    first = others.pop(int(rng.random() * len(others)))
    second = others[int(rng.random() * len(others))]
    return tuple(population[i] for i in (best, first, second))
