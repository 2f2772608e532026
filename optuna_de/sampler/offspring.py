"""From a population to a child and the plan that made it.

A plan names the parents and the generator, so that a child can be bred again from the storage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np

from optuna_de._checks import require
from optuna_de.evolution.genome import Genome, Value
from optuna_de.evolution.population import Member
from optuna_de.evolution.variation import Variation, draw, vary
from optuna_de.sampler.history import History
from optuna_de.sampler.plan import Plan
from optuna_de.screening.screening import Evidence, Known, Screening, screen
from optuna_de.screening.transforms import Losses, extrapolate_losses
from optuna_de.search_space.distributions import Distributions, Params, range_of
from optuna_de.search_space.encoding import write

ATTEMPTS = 100
MIN_PARENTS = 3
DEDUPLICATE = (True, False, "generation")


@dataclass(frozen=True, slots=True)
class Settings:
    """How trials are planned, see :class:`optuna_de.DESampler`.

    Raises:
        ValueError: Where a value is out of its range.
    """

    n_best: int
    variation: Variation
    initial: Callable[[np.random.Generator], Params] | None
    accept: Callable[[Params], bool] | None
    deduplicate: bool | Literal["generation"]
    known: Known = field(default_factory=dict)
    screening: Screening | None = None
    adaptive: bool = True

    def __post_init__(self) -> None:
        require(self.n_best >= 1, "n_best", self.n_best, "at least 1")
        right = self.deduplicate in DEDUPLICATE
        require(right, "deduplicate", self.deduplicate, f"one of {DEDUPLICATE}")

    def refuses(self, params: Params) -> bool:
        """Return whether a hard cap excludes these parameters."""
        return self.accept is not None and not self.accept(params)

    def is_priced(self, genome: Genome) -> bool:
        """Return whether all known objectives can be computed."""
        params = write(genome)
        try:
            for price in self.known.values():
                price(params)
        except (ValueError, LookupError):
            return False
        return True

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


def breed_offspring(history: History, key: Key, settings: Settings) -> Planned:
    """Plan the child that screening prefers, or one that is neither taken nor refused."""
    if settings.screening is None:
        return _breed_one(history, key, settings)
    running = running_offspring(history, settings, key[-1])
    pool = _breed_pool(history, key, settings, settings.screening.pool, running)
    verdict = screen(
        _evidence(history, list(filter(settings.is_priced, running)), settings.screening),
        [child for _, child in pool],
        {j: partial(_signed, f, history.signs[j]) for j, f in settings.known.items()},
        settings.screening,
        np.random.default_rng((*key, 2)),
        history.memo,
    )
    if verdict.chosen is None:
        plan, params = _breed_one(history, key, settings)
        return replace(plan, screened=verdict.reason), params
    plan, child = pool[verdict.chosen]
    return replace(plan, screened=True), write(child)


def _evidence(history: History, running: Sequence[Genome], options: Screening) -> Evidence:
    """Gather what was evaluated; a stopped trial counts with the losses that it was heading for.

    It is foretold from its last rung and from trials that were complete before it ended.
    """
    genomes, losses, feasible = [], list[tuple[float, ...]](), list[bool]()
    complete: dict[int, list[tuple[Losses, Losses]]] = defaultdict(list)
    for trial in history.fold.finished:
        if trial.member is not None:
            for at, early in trial.rungs.items():
                complete[at].append((early, trial.member.losses))
        elif not (trial.rungs and options.stopped):
            continue
        genomes.append(trial.genome)
        feasible.append(trial.member is not None and trial.member.violation == 0)
        if trial.member is not None:
            losses.append(trial.member.losses)
        else:
            last = max(trial.rungs)
            losses.append(extrapolate_losses(trial.rungs[last], complete[last]))
    return Evidence(
        genomes,
        np.array(losses),
        np.array(feasible),
        running,
        history.catalog,
        history.fold.rules.weights,
    )


def _signed(price: Callable[[Params], float], sign: float, params: Params) -> float:
    return sign * float(price(params))


def running_offspring(history: History, settings: Settings, but: int) -> list[Genome]:
    """Return the genomes of all running trials but one.

    A trial that has not suggested all of its parameters yet counts with its stored plan, so that
    workers see each other's choices as soon as they are made.
    """
    found = []
    for number in history.open_numbers:
        size, genome = history.suggested(number)
        if number in history.plans:
            _, params = replay(Plan.load(history.plans[number]), history, settings, {})
            genome = history.canonical(params) if len(params) > size else genome
        if number != but and (genome.flat or genome.sequences):
            found.append(genome)
    return found


def _breed_pool(
    history: History, key: Key, settings: Settings, size: int, running: Sequence[Genome]
) -> list[tuple[Plan, Genome]]:
    """Breed up to ``size`` different children, none of them taken or refused."""
    pool: dict[Hashable, tuple[Plan, Genome]] = {}
    barred = {genome.spelling() for genome in running} if settings.deduplicate is True else set()
    for attempt in range(2 * size):
        plan, child = _attempt(history, key, attempt, "difference", settings)
        name = child.spelling()
        taken = name in pool or name in barred or settings.is_taken(child, history)
        if not taken and not settings.refuses(write(child)) and _is_ready(child, settings):
            pool[name] = plan, child
        if len(pool) == size:
            break
    return list(pool.values())


def _is_ready(child: Genome, settings: Settings) -> bool:
    """Return whether a child can be screened: one with a kind that no trial had is not whole yet.

    Of a child whose units all have attributes the price has to work; its error is the caller's.
    """
    units = (unit for sequence in child.sequences.values() for unit in sequence)
    return all(unit.attributes for unit in units) or settings.is_priced(child)


def _attempt(
    history: History, key: Key, attempt: int, operator: str, settings: Settings
) -> tuple[Plan, Genome]:
    rng = np.random.default_rng((*key, attempt, 1))
    parents = _choose(history.population, settings.n_best, rng)
    if _has_base(history, settings):
        parents = (*parents, _another(history.population, parents, rng))
    numbers = tuple(member.number for member in parents)
    plan = Plan(history.generation, operator, numbers, (*key, attempt))
    return plan, _bear(plan, [m.genome for m in parents], history, settings.variation)


def _breed_one(history: History, key: Key, settings: Settings) -> Planned:
    """Plan a child that is neither taken nor refused.

    Another is drawn otherwise, at most ``ATTEMPTS`` times; where duplicates are avoided, more
    and more genes are edited at random in the second half of the attempts. The last child is
    returned even if it is taken: a finite space may hold no other.
    """
    for attempt in range(ATTEMPTS):
        late = settings.deduplicate is True and attempt >= ATTEMPTS // 2
        operator = "edit" if late else "difference"
        plan, child = _attempt(history, key, attempt, operator, settings)
        params = write(child)
        if not settings.is_taken(child, history) and not settings.refuses(params):
            break
    return plan, params


def replay(plan: Plan, history: History, settings: Settings, space: Distributions) -> Planned:
    """Return what a stored plan describes, so that a retried trial keeps its genome."""
    if plan.sampled and (cube := history.numeric_space) is not None:
        return plan, cube.rounded(plan.sampled)
    parents = [genome for n in plan.parents if (genome := history.genome(n)) is not None]
    if len(parents) != max(MIN_PARENTS, len(plan.parents)):
        return plan, _draw_initial(plan, settings, space)
    return plan, write(_bear(plan, parents, history, settings.variation))


def _bear(plan: Plan, parents: Sequence[Genome], history: History, variation: Variation) -> Genome:
    best, a, b, *bases = parents
    base = bases[0] if bases else None
    forced = max(0, plan.key[-1] - ATTEMPTS // 2 + 1) if plan.operator == "edit" else 0
    child = vary((best, a, b), history.catalog, variation, plan.rng(), base=base, forced=forced)
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


def _has_base(history: History, settings: Settings) -> bool:
    """Return whether numbers move from a fourth member: where there are several objectives."""
    moves = settings.adaptive and settings.variation.scale > 0
    return moves and len(history.signs) > 1 and len(history.population) > MIN_PARENTS


def _another(
    population: tuple[Member, ...], taken: tuple[Member, ...], rng: np.random.Generator
) -> Member:
    """Choose a member that is none of those taken."""
    numbers = {member.number for member in taken}
    others = [member for member in population if member.number not in numbers]
    return others[int(rng.random() * len(others))]
