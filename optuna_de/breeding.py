"""From a population to a child and the plan that made it.

A plan names the parents and the generator, so that a child can be bred again from the storage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from optuna_de.genome import Genome, Value
from optuna_de.population import History, Member
from optuna_de.ranges import Distributions, Params, range_of
from optuna_de.space import write
from optuna_de.variation import Variation, draw, vary

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


@dataclass(frozen=True, slots=True)
class Settings:
    """How trials are planned, see :class:`optuna_de.DESampler`."""

    n_best: int
    variation: Variation
    initial: Callable[[np.random.Generator], Params] | None
    accept: Callable[[Params], bool] | None
    deduplicate: bool | Literal["generation"]

    def refuses(self, params: Params) -> bool:
        """Return whether a hard cap excludes these parameters."""
        return self.accept is not None and not self.accept(params)

    def is_taken(self, genome: Genome, history: History) -> bool:
        """Return whether a genome may not be tried (again)."""
        if self.deduplicate == "generation":
            return history.is_in_generation(genome)
        return self.deduplicate and history.is_known(genome)


Key = tuple[int, ...]
Planned = tuple[Plan, dict[str, Value]]


def start(history: History, key: Key, settings: Settings, space: Distributions) -> Planned:
    """Plan a member of the initial population; a refused or known draw is drawn again."""
    for attempt in range(ATTEMPTS):
        plan = Plan(history.generation, "initial", (), (*key, attempt))
        params = _draw_initial(plan, settings, space)
        known = settings.deduplicate is True and history.is_known(history.canonical(params))
        if not known and not settings.refuses(params):
            break
    return plan, params


def _draw_initial(plan: Plan, settings: Settings, space: Distributions) -> dict[str, Value]:
    rng = plan.rng()
    if settings.initial is not None:
        return dict(settings.initial(rng))
    return {name: draw(range_of(d), rng) for name, d in space.items()}


def breed(history: History, key: Key, settings: Settings) -> Planned:
    """Plan a child that is neither taken nor refused.

    Another is drawn otherwise, at most ``ATTEMPTS`` times; where duplicates are avoided, more
    and more genes are edited at random in the second half of the attempts. The last child is
    returned even if it is taken: a finite space may hold no other.
    """
    for attempt in range(ATTEMPTS):
        late = settings.deduplicate is True and attempt >= ATTEMPTS // 2
        rng = np.random.default_rng((*key, attempt, 1))
        parents = _choose(history.population, settings.n_best, rng)
        numbers = tuple(member.number for member in parents)
        operator = "edit" if late else "difference"
        plan = Plan(history.generation, operator, numbers, (*key, attempt))
        child = _bear(plan, [m.genome for m in parents], history, settings.variation)
        params = write(child)
        if not settings.is_taken(child, history) and not settings.refuses(params):
            break
    return plan, params


def replay(plan: Plan, history: History, settings: Settings, space: Distributions) -> Planned:
    """Return what a stored plan describes, so that a retried trial keeps its genome."""
    parents = [genome for n in plan.parents if (genome := history.genome(n)) is not None]
    if len(parents) != MIN_PARENTS:
        return plan, _draw_initial(plan, settings, space)
    return plan, write(_bear(plan, parents, history, settings.variation))


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
