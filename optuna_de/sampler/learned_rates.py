"""From the plans of children that survived to the learned rates of categories and of units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optuna_de.evolution.genome import Choices
from optuna_de.evolution.rates import RECENT, Rates, memory, near
from optuna_de.evolution.variation import Variation
from optuna_de.sampler.history import History
from optuna_de.sampler.plan import Plan
from optuna_de.sampler.settings import Settings

KINDS = ("category", "unit")


def draw_rates(history: History, key: tuple[int, ...], settings: Settings) -> dict[str, float]:
    """Draw a child's rates for the kinds of genes that the study has, as its plan notes them.

    Numbers keep the rates of the settings. Screening chooses from a pool that is to be wide, so
    it learns none.
    """
    if not settings.adaptive or settings.screening is not None:
        return {}
    rates, rng = dict[str, float](), np.random.default_rng((*key, 5))
    for kind in _kinds_of(history):
        own = near(_memory(history, settings.variation.rates, kind), rng)
        rates |= {f"{kind}_crossover": own.crossover, f"{kind}_mutation": own.mutation}
    return rates


def with_rates(variation: Variation, plan: Plan) -> Variation:
    """Return control parameters with the rates that a plan notes; it may note none."""
    own = {kind: rates for kind in KINDS if (rates := _noted(plan, kind)) is not None}
    if not own:
        return variation
    return replace(variation, categories=own.get("category"), units=own.get("unit"))


def _kinds_of(history: History) -> list[str]:
    catalog = history.catalog
    has_choices = any(isinstance(span, Choices) for span in catalog.flat.values())
    return ["category"] * has_choices + ["unit"] * bool(catalog.sequences)


def _memory(history: History, first: Rates, kind: str) -> Rates:
    """Return the memory of a kind; the plan of a trial is read once."""
    known: dict[int, Rates | None] = history.memo.setdefault(("rates", kind), {})
    numbers = history.fold.entered(RECENT)
    for number in numbers:
        if number not in known:
            known[number] = _noted(history.plan(number), kind)
    return memory(first, [rates for n in numbers if (rates := known[n]) is not None])


def _noted(plan: Plan | None, kind: str) -> Rates | None:
    parameters = {} if plan is None else plan.parameters
    if f"{kind}_crossover" not in parameters:
        return None
    return Rates(parameters[f"{kind}_crossover"], parameters[f"{kind}_mutation"])
