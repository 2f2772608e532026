"""Distributions of Optuna as ranges: hull, membership, fitting values, suggestion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_de.evolution.genome import Choices, Interval, Range, Value, without_nan

Params = Mapping[str, Value]
Distributions = Mapping[str, BaseDistribution]


def hull(a: BaseDistribution | None, b: BaseDistribution) -> BaseDistribution:
    """Return the hull of two distributions, the least range with both; choices never change."""
    if a is None or a == b or type(a) is not type(b) or isinstance(b, CategoricalDistribution):
        return b
    assert isinstance(a, IntDistribution | FloatDistribution)
    assert isinstance(b, IntDistribution | FloatDistribution)
    if (a.step, a.log) != (b.step, b.log):
        return b
    low, high = min(a.low, b.low), max(a.high, b.high)
    return type(b)(low=low, high=high, step=b.step, log=b.log)  # type: ignore[arg-type]


def is_same(a: BaseDistribution, b: BaseDistribution) -> bool:
    """Return whether two distributions are the same; it is quicker than ``a == b``.

    Distributions with NaN among their choices may be equal, but not the same.
    """
    return type(a) is type(b) and a.__dict__ == b.__dict__


def range_of(distribution: BaseDistribution) -> Range:
    """Return the range of a distribution without Optuna's types."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return Choices(tuple(map(without_nan, choices)))
        case IntDistribution(low=low, high=high, step=step, log=log):
            return Interval(low, high, step, log, integer=True)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return Interval(low, high, step, log)
    raise ValueError(f"Unknown distribution {distribution!r}; Optuna's three are supported.")


def holds(distribution: BaseDistribution, value: Value) -> bool:
    """Return whether a range of a distribution holds a value; NaN and infinities are in none."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return value in choices or (value != value and any(c != c for c in choices))
        case IntDistribution(low=low, high=high, step=step):
            return (
                isinstance(value, int | float)
                and low <= value <= high
                and (value - low) % step == 0
            )
        case FloatDistribution(low=low, high=high, step=None):
            return isinstance(value, int | float) and low <= value <= high
    span = range_of(distribution)
    assert isinstance(span, Interval)
    return isinstance(value, int | float) and span.clip(value) == value


def fitting(values: Iterable[Value], distribution: BaseDistribution) -> list[Value]:
    """Return the values that fit the range of a distribution, numbers clipped to it."""
    span = range_of(distribution)
    if isinstance(span, Choices):
        return [value for value in map(without_nan, values) if value in span.values]
    numbers = (v for v in values if isinstance(v, int | float) and not isinstance(v, bool))
    return [span.clip(number) for number in numbers]


def suggest(trial: optuna.trial.BaseTrial, name: str, distribution: BaseDistribution) -> Any:
    """Suggest a value from a distribution, under any sampler of Optuna."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(name, low, high, step=step, log=log)
    raise ValueError(f"Unknown distribution {distribution!r} for {name}.")
