"""Settings of planning: how children are made, refused, priced and screened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

import numpy as np

from optuna_de._checks import require
from optuna_de.evolution.genome import Genome
from optuna_de.evolution.variation import Variation
from optuna_de.sampler.history import History
from optuna_de.sampler.space import Prices
from optuna_de.screening.screening import Screening
from optuna_de.search_space.distributions import Params

DEDUPLICATE = (True, False, "generation")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """Parameters of planning, see :class:`optuna_de.DESampler`.

    Raises:
        ValueError: If a value is out of its range.
    """

    n_best: int
    variation: Variation
    initial: Callable[[np.random.Generator], Params] | None
    accept: Callable[[Params], bool] | None
    deduplicate: bool | Literal["generation"]
    prices: Prices = field(default_factory=dict)
    screening: Screening | None = None
    adaptive: bool = True

    def __post_init__(self) -> None:
        require(self.n_best >= 1, "n_best", self.n_best, "at least 1")
        right = self.deduplicate in DEDUPLICATE
        require(right, "deduplicate", self.deduplicate, f"one of {DEDUPLICATE}")

    def refuses(self, params: Params) -> bool:
        """Return whether ``accept`` rejects these parameters."""
        return self.accept is not None and not self.accept(params)

    def price(self, params: Params) -> dict[int, float]:
        """Compute the objectives known before the evaluation; errors are those of the prices."""
        return {j: float(price(params)) for j, price in self.prices.items()}

    def is_taken(self, genome: Genome, history: History) -> bool:
        """Return whether a genome may not be tried (again)."""
        if self.deduplicate == "generation":
            return history.is_in_generation(genome)
        return self.deduplicate and history.is_known(genome)


def prices_within(prices: Prices, objectives: int, *, required: bool) -> Prices:
    """Return the prices of a study's objectives.

    Args:
        prices: Prices by the index of their objective.
        objectives: The study's number of objectives.
        required: Whether a price beyond them is an error; else it is ignored and logged.

    Raises:
        ValueError: If a required price has an index that the study does not have.
    """
    beyond = sorted(set(prices) - set(range(objectives)))
    if beyond and required:
        raise ValueError(
            f"prices has the objective {beyond[0]}, but the study has {objectives}, "
            "counted from 0."
        )
    if beyond:
        _logger.info(
            "The space's price of objective %s is ignored: the study has %d, counted from 0.",
            _listed(beyond),
            objectives,
        )
    return {j: price for j, price in prices.items() if j not in beyond}


def decide_screening(prices: Prices) -> Screening | None:
    """Screen if an objective is known before the evaluation and scikit-learn is installed."""
    if not prices:
        return None
    if find_spec("sklearn") is None:
        _logger.info(
            "Screening is off because scikit-learn is not installed; install it with: "
            "pip install 'optuna-de[screening]'"
        )
        return None
    _logger.info(
        "Screening is on because objective %s is known before the evaluation; "
        "screening=False turns it off.",
        _listed(prices),
    )
    return Screening()


def _listed(indices: Iterable[int]) -> str:
    return " and ".join(map(str, sorted(indices)))
