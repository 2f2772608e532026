"""Readers of attributes: a number, count or curve of its type, or None if anyone wrote another.

Whoever can write to a shared storage can write any attribute of a study and its trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

from optuna_de._text import printable

UNREADABLE = "unreadable"
"""The text in the place of an attribute that is not of its type."""
LONGEST = 10_000
"""Most characters of a text."""
LARGEST = 10**18
"""Largest count."""
Curve: TypeAlias = "tuple[tuple[float, float, float], ...]"


def read_text(value: object) -> str | None:
    """Return a text as one printable line; None for other types and more than LONGEST."""
    if not isinstance(value, str) or len(value) > LONGEST:
        return None
    return " ".join(printable(value).split())


def read_number(value: object) -> float | None:
    """Return an attribute as a finite number of at least 0; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1e300 else None


def read_count(value: object) -> int | None:
    """Return an attribute as a count in [0, LARGEST]; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= LARGEST else None


REFERENCE_KEY = "optuna_de:reference"
"""User attribute of a study: its reference point, one number per objective."""


def read_reference(value: object, objectives: int) -> tuple[float, ...] | None:
    """Return an attribute as a reference point of so many objectives; None for anything else."""
    if not isinstance(value, list | tuple) or len(value) != objectives:
        return None
    numbers = tuple(_finite(number) for number in value)
    return None if any(map(math.isnan, numbers)) else numbers


def read_numbers(value: object) -> dict[str, float] | None:
    """Return an attribute as numbers by name; others are left out. None for no mapping."""
    if not isinstance(value, Mapping):
        return None
    numbers = {str(name): read_number(number) for name, number in value.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def read_curve(value: object) -> Curve | None:
    """Return an attribute as a curve: rows of (epoch, training loss, validation error).

    Rows that are not three values long are left out; None where the value is no list of rows.
    """
    if not isinstance(value, list | tuple):
        return None
    rows = [row for row in value if isinstance(row, list | tuple) and len(row) == 3]
    read = tuple((_finite(epoch), _finite(loss), _finite(error)) for epoch, loss, error in rows)
    return read if read or not value else None


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if -1e300 <= value <= 1e300 else math.nan
