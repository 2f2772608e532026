"""Objectives of a study by metric name: unit, format and margin of the error and of each price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from optuna_de._text import number_text
from optuna_de.cnn.architecture.prices import PRICES, Price
from optuna_de.cnn.metrics import METRICS
from optuna_de.halving import rate_margin

Margin: TypeAlias = Callable[[float, int, float], float]


@dataclass(frozen=True, slots=True)
class Measure:
    """Measure of a trained network on the validation images: the first objective of a search.

    Args:
        name: The metric's name in the study, its columns and plots.
        unit: What the values are, in words.
        spec: Format specification of a value, e.g. ``".2%"``.
        margin: Uncertainty of a value from value, images and progress in ``(0, 1]``, see
            :func:`optuna_de.halving.rate_margin`.
    """

    name: str
    unit: str
    spec: str
    margin: Margin

    def text(self, value: float) -> str:
        """Return a value for people."""
        return format(value, self.spec)


MEASURES = {
    name: Measure(name, f"{metric.meaning}, validation images", ".2%", rate_margin)
    for name, metric in METRICS.items()
}
"""First objectives of a search by name."""
ERROR = MEASURES["error"]
"""Share of wrong answers."""


def objective_of(metric: str) -> Measure | Price | None:
    """Return the measure or price that a metric's name, such as ``latency [ms]``, stands for.

    None for names that the package does not know, such as a user's own price.
    """
    name = metric.partition(" [")[0]
    return MEASURES.get(name) or PRICES.get(name)


def value_text(metric: str, value: float) -> str:
    """Return an objective's value in the format of its metric name, without unit."""
    row = objective_of(metric)
    return number_text(value) if row is None else format(value, row.spec)


def objective_text(metric: str, value: float) -> str:
    """Return an objective in words, by metric name, value and unit: ``error 12.30%``."""
    name, _, unit = metric.partition(" [")
    text = value_text(metric, value)
    if not unit and name in PRICES:
        return f"{text} {name}"
    return f"{name} {text} {unit.removesuffix(']')}".rstrip()


def describe_objectives(prices: Sequence[Price], metric: str = ERROR.name) -> list[str]:
    """Return the metric names of a search: its first one, then its prices with their units."""
    return [metric, *(price.metric for price in prices)]
