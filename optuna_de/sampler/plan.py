"""Plan of a trial, and the candidate that it makes.

A plan names parents, operator and random generator, so the child can be computed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial

from optuna_de.evolution.genome import Genome, Value

PLAN_KEY = "optuna_de:v1:plan"
_LATEST = 10**9  # generation


@dataclass(frozen=True, slots=True)
class Plan:
    """How a trial's genome was made; stored with the trial.

    Args:
        generation: Blocks folded when the trial was planned; 0 for the initial population.
        operator: ``"initial"``, ``"difference"``, ``"edit"`` (a difference, then an edit),
            ``"cma"`` (drawn from the normal distribution of CMA-ES), or ``"model"`` (the minimum
            of a quadratic model, or the child of a pool that a front model prefers).
        parents: Trial numbers of ``(best, r1, r2)``, or of ``(best, r1, r2, base)``; empty
            where there are none.
        key: Non-negative integers that seed the generator.
        screened: Whether a model chose the child from a pool; the reason as text if it should
            have, but did not.
        sampled: Of ``"cma"`` and ``"model"``, each parameter before it was rounded to its grid:
            the distribution that it was drawn from may change where a trial arrives late.
        run: The number of the run of CMA-ES that was under way, where the study has one.
        parameters: Control parameters of the operator by name: ``scale`` (F) and
            ``crossover`` (CR) of a difference, ``index`` of its polynomial mutation, ``mutation``
            and those with ``category_`` and ``unit_`` before them where they are learned,
            ``step_size`` (sigma, in the unit cube) of CMA-ES. Empty in studies stored before they
            were noted.
    """

    generation: int
    operator: str
    parents: tuple[int, ...]
    key: tuple[int, ...]
    screened: bool | str = False
    sampled: Mapping[str, float] = field(default_factory=dict)
    run: int | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, stored: Any) -> Plan:
        """Read a plan from a trial's system attribute.

        Raises:
            ValueError: If that is no plan.
        """
        try:
            generation, operator = int(stored["generation"]), str(stored["operator"])
            parents, key = (tuple(map(int, stored[name])) for name in ("parents", "key"))
            screened = stored.get("screened", False)
            sampled, parameters = (
                {str(name): float(v) for name, v in stored.get(part, {}).items()}
                for part in ("sampled", "parameters")
            )
            run = None if stored.get("run") is None else int(stored["run"])
        except (KeyError, TypeError, OverflowError, AttributeError) as error:
            raise ValueError(f"{str(stored)[:80]!r} is no plan of a trial.") from error
        if not 0 <= generation <= _LATEST or min((0, *parents, *key)) < 0:
            raise ValueError(f"{str(stored)[:80]!r} is no plan of a trial.")
        return cls(generation, operator, parents, key, screened, sampled, run, parameters)

    def of_run(self, run: int) -> Plan:
        """Return the plan with the run of CMA-ES that was under way."""
        return replace(self, run=run)

    def rng(self, stream: int = 0) -> np.random.Generator:
        """Return one of the plan's generators."""
        return np.random.default_rng((*self.key, stream))


def stored_plan(trial: FrozenTrial) -> Plan | None:
    """Return the plan that a trial stores; None if there is none, or it cannot be read."""
    return read_plan(trial.system_attrs.get(PLAN_KEY))


def read_plan(stored: Any) -> Plan | None:
    """Return a stored plan; None if it cannot be read."""
    try:
        return Plan.load(stored)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A child on its way to a trial; made once and passed along.

    Args:
        plan: How it was made.
        genome: Its genome, canonical if the sampler has a repair.
        params: The same as Optuna parameters.
        prices: Its objectives known before the evaluation, by index, in the study's direction;
            ``None`` if they were not computed or cannot be.
    """

    plan: Plan
    genome: Genome
    params: Mapping[str, Value]
    prices: Mapping[int, float] | None = None
