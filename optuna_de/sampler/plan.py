"""A trial's plan: its parents, operator and generator, so that it can be bred again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

PLAN_KEY = "optuna_de:v1:plan"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a trial's genome came to be; stored with the trial.

    Args:
        generation: Blocks folded when the trial was planned; 0 for the initial population.
        operator: ``"initial"``, ``"difference"``, ``"edit"`` (a difference, then an edit),
            ``"cma"`` (drawn from the normal distribution of CMA-ES), or ``"model"`` (the minimum
            of a quadratic model).
        parents: Trial numbers of ``(best, r1, r2)``, or of ``(best, r1, r2, base)``; empty
            where there are none.
        key: Non-negative integers that seed the generator.
        screened: Whether a model chose the child among many; where it should have, but did not,
            the reason why.
        sampled: Of ``"cma"`` and ``"model"``, each parameter before it was rounded to its grid:
            the distribution that it was drawn from may change where a trial arrives late.
        run: The number of the run of CMA-ES that was under way, where the study has one.
    """

    generation: int
    operator: str
    parents: tuple[int, ...]
    key: tuple[int, ...]
    screened: bool | str = False
    sampled: Mapping[str, float] = field(default_factory=dict)
    run: int | None = None

    @classmethod
    def load(cls, stored: Any) -> Plan:
        """Read a plan from a trial's system attribute."""
        return cls(
            int(stored["generation"]),
            str(stored["operator"]),
            tuple(stored["parents"]),
            tuple(stored["key"]),
            stored.get("screened", False),
            stored.get("sampled", {}),
            stored.get("run"),
        )

    def of_run(self, run: int) -> Plan:
        """Return the plan with the run of CMA-ES that was under way."""
        return replace(self, run=run)

    def rng(self, stream: int = 0) -> np.random.Generator:
        """Return one of the plan's generators."""
        return np.random.default_rng((*self.key, stream))
