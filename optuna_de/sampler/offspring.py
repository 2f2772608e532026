"""Offspring: choose parents, vary them, and return the child with its plan.

The plan names parents and random generator, so the child can be computed again from the storage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from optuna_de.evolution.genome import Genome, Interval
from optuna_de.evolution.population import Finished
from optuna_de.evolution.variation import INDEX, SCALE_LIMIT, Variation, draw, vary
from optuna_de.sampler.history import History
from optuna_de.sampler.learned_rates import draw_rates, with_rates
from optuna_de.sampler.plan import Candidate, Plan, read_plan
from optuna_de.sampler.settings import Settings
from optuna_de.screening.acquisition import Array
from optuna_de.screening.screening import Evidence, Screening, screen
from optuna_de.screening.transforms import Losses, extrapolate_losses
from optuna_de.search_space.distributions import Distributions, range_of
from optuna_de.search_space.encoding import write

ATTEMPTS = 100
MIN_PARENTS = 3
_GOLDEN = (5**0.5 - 1) / 2
Key = tuple[int, ...]


def start(history: History, key: Key, settings: Settings, space: Distributions) -> Candidate:
    """Draw a member of the initial population, again if it is refused or repeats a trial."""
    for attempt in range(ATTEMPTS):
        plan = Plan(history.generation, "initial", (), (*key, attempt))
        child = _draw_initial(plan, history, settings, space)
        repeated = settings.deduplicate is True and history.is_known(child.genome)
        if not repeated and not settings.refuses(child.params):
            break
    return child


def _draw_initial(
    plan: Plan, history: History, settings: Settings, space: Distributions
) -> Candidate:
    rng = plan.rng()
    if settings.initial is not None:
        params = dict(settings.initial(rng))
    else:
        params = {name: draw(range_of(d), rng) for name, d in space.items()}
    return Candidate(plan, history.canonical(params), params)


def breed_offspring(history: History, key: Key, settings: Settings) -> Candidate:
    """Return the child that screening prefers, or one that is neither taken nor refused."""
    if settings.screening is None:
        return _breed_one(history, key, settings)
    running = running_offspring(history, settings, key[-1])
    pool = _breed_pool(history, key, settings, settings.screening.pool, running)
    if history.fold.reference is not None and pool:
        pool = in_turn(pool, key[-1])
    running = [child for child in running if child.prices is not None]
    verdict = screen(
        _evidence(history, [child.genome for child in running], settings.screening),
        [child.genome for child in pool],
        _price_columns([*running, *pool], history.signs, settings),
        settings.screening,
        np.random.default_rng((*key, 2)),
        history.memo,
    )
    if verdict.chosen is None:
        child = _breed_one(history, key, settings)
        return replace(child, plan=replace(child.plan, screened=verdict.reason))
    child = pool[verdict.chosen]
    return replace(child, plan=replace(child.plan, screened=True))


def in_turn(pool: Sequence[Candidate], number: int) -> list[Candidate]:
    """Return the third of a pool whose first price is nearest to the one whose turn it is.

    The turns of successive trials are spread evenly over the logarithms of the pool's prices, by
    the golden ratio. Hypervolume alone would stay at the cheap end, where each step pays.

    Args:
        pool: Offspring with prices, one or more.
        number: The number of the trial.
    """
    prices = np.array([next(iter((child.prices or {0: 1.0}).values())) for child in pool])
    places = np.log(prices) if (prices > 0).all() and np.isfinite(prices).all() else prices
    turn = places.min() + number * _GOLDEN % 1.0 * (places.max() - places.min())
    nearest = np.argsort(np.abs(places - turn), kind="stable")[: -(-len(pool) // 3)]
    return [pool[i] for i in sorted(nearest)]


def _evidence(history: History, running: Sequence[Genome], options: Screening) -> Evidence:
    """Gather finished trials; a stopped one counts with its losses, extrapolated to the end.

    The factors come from its last rung and from trials that were complete before it ended.
    """
    genomes, losses, feasible = [], list[tuple[float, ...]](), list[bool]()
    stopped_at: list[int | None] = []
    complete: dict[int, list[tuple[Losses, Losses]]] = defaultdict(list)
    for trial in history.fold.finished:
        rungs, genome = history.rungs(trial.number), history.genome(trial.number)
        if trial.losses is not None:
            for at, early in rungs.items():
                complete[at].append((early, trial.losses))
        elif not (rungs and options.stopped):
            continue
        assert genome is not None
        genomes.append(genome)
        feasible.append(trial.losses is not None and trial.violation == 0)
        if trial.losses is not None:
            losses.append(trial.losses)
            stopped_at.append(None)
        else:
            last = max(rungs)
            losses.append(extrapolate_losses(rungs[last], complete[last]))
            stopped_at.append(last)
    return Evidence(
        genomes,
        np.array(losses),
        np.array(feasible),
        running,
        history.catalog,
        history.fold.rules.weights,
        history.fold.reference,
        _unfinished(stopped_at),
    )


def _unfinished(stopped_at: Sequence[int | None]) -> Array:
    """Return how far trials were from their end, ``(n,)``: 1 at the first rung, 0 at the end."""
    rungs = sorted({at for at in stopped_at if at is not None})
    left = {at: 1 - i / len(rungs) for i, at in enumerate(rungs)}
    return np.array([0.0 if at is None else left[at] for at in stopped_at])


def _price_columns(
    candidates: Sequence[Candidate], signs: Sequence[float], settings: Settings
) -> dict[int, Array]:
    """Return the known losses ``(k,)`` of k candidates, by the index of their objective."""
    columns = {}
    for j in settings.prices:
        prices = np.array([(child.prices or {})[j] for child in candidates], dtype=float)
        if np.isnan(prices).any():
            params = dict(candidates[int(np.isnan(prices).argmax())].params)
            raise ValueError(f"The price of objective {j} must be a number, but is NaN: {params}.")
        columns[j] = signs[j] * prices
    return columns


def running_offspring(history: History, settings: Settings, but: int) -> list[Candidate]:
    """Return all running trials but one as candidates, with prices if they can be computed.

    A trial that has not suggested all of its parameters yet counts with its stored plan, so that
    workers see each other's choices as soon as they are made. Candidates are kept until their
    trial changes.
    """
    kept: Mapping[int, tuple[tuple[Any, ...], Candidate]] = history.memo.get("running", {})
    running = {}
    for number in (n for n in history.open_numbers if n != but):
        state = history.suggested(number)[0], history.plans.get(number), history.catalog
        if number in kept and kept[number][0] == state:
            running[number] = kept[number]
        else:
            running[number] = state, _running(number, history, settings)
    history.memo["running"] = running
    children = (child for _, child in running.values())
    return [child for child in children if child.genome.flat or child.genome.sequences]


def _running(number: int, history: History, settings: Settings) -> Candidate:
    """Return a running trial as far as it is suggested, or as its stored plan describes it."""
    size, genome = history.suggested(number)
    plan = Plan(history.generation, "initial", (), ())
    child = Candidate(plan, genome, write(genome))
    stored = read_plan(history.plans.get(number))
    if stored is not None:
        planned = replay(stored, history, settings, {})
        child = planned if len(planned.params) > size else replace(child, plan=planned.plan)
    try:
        return replace(child, prices=settings.price(child.params))
    except (ValueError, LookupError):
        return child


def _breed_pool(
    history: History, key: Key, settings: Settings, size: int, running: Sequence[Candidate]
) -> list[Candidate]:
    """Breed up to ``size`` different children, none of them taken or refused, with prices."""
    pool: dict[Hashable, Candidate] = {}
    apart = settings.deduplicate is True
    barred = {child.genome.spelling() for child in running} if apart else set()
    for attempt in range(2 * size):
        child = _attempt(history, key, attempt, "difference", settings)
        name = child.genome.spelling()
        taken = name in pool or name in barred or settings.is_taken(child.genome, history)
        if not taken and not settings.refuses(child.params):
            priced = _with_prices(child, settings)
            pool |= {} if priced is None else {name: priced}
        if len(pool) == size:
            break
    return list(pool.values())


def _with_prices(child: Candidate, settings: Settings) -> Candidate | None:
    """Return a child with its prices; ``None`` if it has a kind that no trial had.

    Such a unit has no attributes yet. Any other child has a price, whose error is the caller's.
    """
    try:
        return replace(child, prices=settings.price(child.params))
    except (ValueError, LookupError):
        units = (unit for sequence in child.genome.sequences.values() for unit in sequence)
        if all(unit.attributes for unit in units):
            raise
        return None


def _attempt(
    history: History,
    key: Key,
    attempt: int,
    operator: str,
    settings: Settings,
    rates: Mapping[str, float] | None = None,
) -> Candidate:
    rng = np.random.default_rng((*key, attempt, 1))
    parents = _choose(history.population, settings.n_best, rng)
    if _has_base(history, settings):
        parents = (*parents, _another(history.population, parents, rng))
    numbers = tuple(member.number for member in parents)
    plan = Plan(history.generation, operator, numbers, (*key, attempt), parameters=rates or {})
    plan = _noted(plan, settings)
    genomes = [genome for n in numbers if (genome := history.genome(n)) is not None]
    return _make_child(plan, genomes, history, settings.variation)


def _noted(plan: Plan, settings: Settings) -> Plan:
    """Return a plan with its F and CR; an F that is drawn is its generator's first number."""
    drawn, variation = len(plan.parents) > MIN_PARENTS, settings.variation
    scale = SCALE_LIMIT * plan.rng().random() if drawn else variation.scale
    noted = {"scale": scale, "crossover": variation.crossover, **plan.parameters}
    noted |= {"index": INDEX} if drawn else {}
    return replace(plan, parameters=noted)


def _breed_one(history: History, key: Key, settings: Settings) -> Candidate:
    """Return a child that is neither taken nor refused.

    Another is drawn otherwise, at most ``ATTEMPTS`` times; if duplicates are avoided, more and
    more genes are edited at random in the second half of the attempts. The last child is
    returned even if it is taken: a finite space may hold no other.
    """
    rates = draw_rates(history, key, settings)
    for attempt in range(ATTEMPTS):
        late = settings.deduplicate is True and attempt >= ATTEMPTS // 2
        operator = "edit" if late else "difference"
        child = _attempt(history, key, attempt, operator, settings, rates)
        if not settings.is_taken(child.genome, history) and not settings.refuses(child.params):
            break
    return child


def replay(plan: Plan, history: History, settings: Settings, space: Distributions) -> Candidate:
    """Return what a stored plan describes, so that a retried trial keeps its genome."""
    if plan.sampled and (cube := history.numeric_space) is not None:
        params = cube.rounded(plan.sampled)
        return Candidate(plan, history.read(params), params)
    parents = [genome for n in plan.parents if (genome := history.genome(n)) is not None]
    if len(parents) != max(MIN_PARENTS, len(plan.parents)):
        return _draw_initial(plan, history, settings, space)
    return _make_child(plan, parents, history, settings.variation)


def _make_child(
    plan: Plan, parents: Sequence[Genome], history: History, variation: Variation
) -> Candidate:
    best, a, b, *bases = parents
    base = bases[0] if bases else None
    forced = max(0, plan.key[-1] - ATTEMPTS // 2 + 1) if plan.operator == "edit" else 0
    child = vary(
        (best, a, b),
        history.catalog,
        with_rates(variation, plan),
        plan.rng(),
        base=base,
        forced=forced,
        index=plan.parameters.get("index"),
    )
    params = write(child)
    repaired = history.repaired(params)
    if repaired == params:
        return Candidate(plan, child, params)
    return Candidate(plan, history.read(repaired), repaired)


def _choose(
    population: tuple[Finished, ...], n_best: int, rng: np.random.Generator
) -> tuple[Finished, ...]:
    """Choose best uniformly from the ``n_best`` best, then two others that all differ."""
    best = int(rng.random() * min(n_best, len(population)))
    others = [i for i in range(len(population)) if i != best]
    first = others.pop(int(rng.random() * len(others)))
    second = others[int(rng.random() * len(others))]
    return tuple(population[i] for i in (best, first, second))


def _has_base(history: History, settings: Settings) -> bool:
    """Return whether flat numbers move from a fourth member: if there are several objectives."""
    if len(history.signs) == 1 or not settings.adaptive or settings.variation.scale == 0:
        return False
    has_numbers = any(isinstance(span, Interval) for span in history.catalog.flat.values())
    return has_numbers and len(history.population) > MIN_PARENTS


def _another(
    population: tuple[Finished, ...], taken: tuple[Finished, ...], rng: np.random.Generator
) -> Finished:
    """Choose a member that is none of those taken."""
    numbers = {member.number for member in taken}
    others = [member for member in population if member.number not in numbers]
    return others[int(rng.random() * len(others))]
