"""Table of objectives: what a search minimises, in which unit, known when, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from optuna_de._text import number_text
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.units import Unit
from optuna_de.halving import rate_margin

Price: TypeAlias = Callable[[Sequence[Unit], ImageShape, int], int]
Margin: TypeAlias = Callable[[float, int, float], float]


@dataclass(frozen=True, slots=True)
class Objective:
    """A row of the table.

    Args:
        name: The metric's name in the study, its columns and plots.
        unit: Unit of the values; empty for counts.
        direction: As Optuna names it.
        spec: Format specification of a value, e.g. ``".2%"``.
        price: Computes the value before any training from units, image shape and classes;
            None for values that are measured.
        margin: Uncertainty of a measured value from value, images and progress in ``(0, 1]``, see
            :func:`optuna_de.halving.rate_margin`; None if the value is exact.
    """

    name: str
    unit: str
    direction: Literal["minimize", "maximize"]
    spec: str
    price: Price | None = None
    margin: Margin | None = None

    def text(self, value: float) -> str:
        """Return a value for people."""
        return format(value, self.spec)


OBJECTIVES = (
    Objective("error", "share of the validation images", "minimize", ".2%", margin=rate_margin),
    Objective("parameters", "", "minimize", ",.0f", price=count_parameters),
)
"""The objectives of a search, in the order of its values."""
MACS = Objective("MACs", "", "minimize", ",.0f", price=count_macs)
"""Multiply-accumulates for one image: recorded and limited, not optimised."""


def value_text(name: str, value: float) -> str:
    """Return an objective's value for people; a name outside the table gives a plain number."""
    row = next((o for o in OBJECTIVES if o.name == name), None)
    return number_text(value) if row is None else row.text(value)
