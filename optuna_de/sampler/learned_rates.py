"""From the plans of children that survived to the learned rates of numbers, categories and units.

Studies of numbers only have rules of their own and learn none.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from optuna_de.evolution.genome import Choices, Interval
from optuna_de.evolution.rates import RECENT, Rates, memory, near
from optuna_de.evolution.variation import Catalog, Variation
from optuna_de.sampler.history import History
from optuna_de.sampler.plan import Plan
from optuna_de.sampler.settings import Settings

PREFIXES = {"number": "", "category": "category_", "unit": "unit_"}
"""What the names of a kind's rates begin with in a plan."""


def draw_rates(history: History, key: tuple[int, ...], settings: Settings) -> dict[str, float]:
    """Draw a child's rates for the kinds of genes that the study has, as its plan notes them.

    Screening chooses from a pool that is to be wide, so it learns none.
    """
    if not settings.adaptive or settings.screening is not None:
        return {}
    rates, rng = dict[str, float](), np.random.default_rng((*key, 5))
    for kind in _kinds_of(history.catalog):
        own, prefix = near(_memory(history, settings.variation.rates, kind), rng), PREFIXES[kind]
        rates |= {f"{prefix}crossover": own.crossover, f"{prefix}mutation": own.mutation}
    return rates


def with_rates(variation: Variation, plan: Plan) -> Variation:
    """Return control parameters with the rates that a plan notes; it may note none."""
    own = {k: r for k in PREFIXES if (r := _noted(plan.parameters, k)) is not None}
    if not own:
        return variation
    number = own.get("number", variation.rates)
    return Variation(
        variation.scale,
        number.crossover,
        number.mutation,
        own.get("category"),
        own.get("unit"),
    )


def _kinds_of(catalog: Catalog) -> list[str]:
    spans = catalog.flat.values()
    has_choices = any(isinstance(span, Choices) for span in spans)
    if not has_choices and not catalog.sequences:
        return []
    has_numbers = any(isinstance(span, Interval) for span in spans)
    held = {"number": has_numbers, "category": has_choices, "unit": bool(catalog.sequences)}
    return [kind for kind, is_held in held.items() if is_held]


def _memory(history: History, first: Rates, kind: str) -> Rates:
    """Return the memory of a kind; the plan of a trial is read once."""
    known: dict[int, Rates | None] = history.memo.setdefault(("rates", kind), {})
    numbers = history.fold.entered(RECENT)
    for number in numbers:
        if number not in known:
            plan = history.plan(number)
            known[number] = None if plan is None else _noted(plan.parameters, kind)
    return memory(first, [rates for n in numbers if (rates := known[n]) is not None])


def _noted(parameters: Mapping[str, float], kind: str) -> Rates | None:
    """Return the rates of a kind; an old plan notes CR alone, for readers."""
    prefix = PREFIXES[kind]
    if f"{prefix}mutation" not in parameters:
        return None
    return Rates(parameters[f"{prefix}crossover"], parameters[f"{prefix}mutation"])
