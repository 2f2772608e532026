"""Genomes: tuples of units, their text form, checks, head and repair. No torch.

In text a genome is ``C7k3-C195k5-MP-MP-C219k5-C188k5-AP``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import TypeAlias

from optuna_de.cnn.architecture.layers import through
from optuna_de.cnn.architecture.units import FC, UNITS, Unit

Genome: TypeAlias = tuple[Unit, ...]
_TOKEN = re.compile(r"(?P<letter>[A-Z]+)(?P<numbers>(?:[0-9]{1,12}(?:[a-z][0-9]{1,6})*)?)")
_REPEATED = re.compile(r"(?P<token>.*[0-9A-Z])x(?P<times>[1-9][0-9]?)")
_NUMBER = re.compile(r"([a-z]?)([0-9]+)")
_EXAMPLE = {"channels": 64, "kernel": 3, "width": 512}


def render(genome: Sequence[Unit]) -> str:
    """Return the text form of a genome; :func:`parse` inverts it.

    Example:
        >>> render(parse("R64k3x3-GAP"))
        'R64k3-R64k3-R64k3-GAP'
    """
    return "-".join(map(_render_unit, genome))


def _render_unit(unit: Unit) -> str:
    values = ((tag, getattr(unit, name), default) for tag, (name, default) in _tags(type(unit)))
    return unit.letter + "".join(f"{tag}{value}" for tag, value, usual in values if value != usual)


@lru_cache(maxsize=256)
def _tags(unit: type[Unit]) -> tuple[tuple[str, tuple[str, object]], ...]:
    """Return each field's mark in texts, its name and its default (``MISSING`` for none)."""
    named = ((f.name, f.default) for f in fields(unit))  # type: ignore[arg-type]
    return tuple(
        ("" if i == 0 else name[0], (name, usual)) for i, (name, usual) in enumerate(named)
    )


def parse(text: str) -> Genome:
    """Return the genome of a text form such as ``C7k3-MP-C64k5-FC128``.

    ``R64k3x3`` is short for three units ``R64k3``; :func:`render` writes them out.

    Raises:
        ValueError: If a token is no unit, a number is out of range or a unit is misplaced.

    Example:
        >>> parse("B8k3-MP-GAP")
        (NormConv(channels=8, kernel=3), MaxPool(), GAP())
    """
    tokens = [part for token in text.strip().split("-") for part in _repeated(token)]
    genome = tuple(_parse_unit(token, i) for i, token in enumerate(tokens, 1))
    check(genome)
    return genome


def _repeated(token: str) -> list[str]:
    """Return the token of a unit as often as it says, up to 99 times."""
    match = _REPEATED.fullmatch(token)
    return [match["token"]] * int(match["times"]) if match else [token]


def _parse_unit(token: str, position: int) -> Unit:
    match = _TOKEN.fullmatch(token)
    unit = UNITS.get(match["letter"]) if match else None
    numbers = dict(_NUMBER.findall(match["numbers"])) if match else {}
    tags = _tags(unit) if unit else ()
    spelt = [tag for tag, (_, default) in tags if tag in numbers or default is MISSING]
    if unit is None or "".join(f"{t}{numbers.get(t)}" for t in spelt) != match["numbers"]:  # type: ignore[index]
        raise ValueError(
            f"Unit {position} of the architecture, {token[:40]!r}, is not understood; units are "
            f"{', '.join(map(_example, UNITS.values()))}."
        )
    return unit(**{name: int(numbers[tag]) for tag, (name, _) in tags if tag in numbers})


def _example(unit: type[Unit]) -> str:
    names = (name for _, (name, default) in _tags(unit) if default is MISSING)
    return _render_unit(unit(**{name: _EXAMPLE.get(name, 1) for name in names}))


def check(genome: Sequence[Unit]) -> None:
    """Check a genome: refuse one that no network can have.

    Raises:
        ValueError: If it is empty, a number is out of range, or a head unit (one global pool,
            then ``FC``) stands before another.
    """
    body = split_head(genome)[0]
    if not body:
        raise ValueError("An architecture needs at least one unit before its head.")
    for position, unit in enumerate(genome, 1):
        if not _is_sized(unit):
            raise ValueError(
                f"Unit {position} of the architecture, {render([unit])!r}, needs integers: "
                f"{_limits(unit)}."
            )
    for unit in body:
        if unit.is_head:
            raise ValueError(
                f"{render([unit])!r} stands before other units; FC units come last, a global "
                "pool just before them."
            )


def _is_sized(unit: Unit) -> bool:
    """Return whether the fields are whole numbers, large enough, and the kernel is odd."""
    sizes = {name: getattr(unit, name) for _, (name, _) in _tags(type(unit))}
    return (
        all(
            isinstance(size, int) and size >= unit.least.get(name, 1)
            for name, size in sizes.items()
        )
        and sizes.get("kernel", 1) % 2 == 1
    )


def _limits(unit: Unit) -> str:
    named = [name for _, (name, _) in _tags(type(unit))]
    return ", ".join(
        f"{name} at least {unit.least.get(name, 1)}" + (" and odd" if name == "kernel" else "")
        for name in named
    )


def split_head(genome: Sequence[Unit]) -> tuple[Genome, Genome]:
    """Split a genome into its body and its explicit head; the head may be empty."""
    end = len(genome)
    while end and isinstance(genome[end - 1], FC):
        end -= 1
    if end and genome[end - 1].is_head and not isinstance(genome[end - 1], FC):
        end -= 1
    return tuple(genome[:end]), tuple(genome[end:])


def repair(genome: Sequence[Unit], image_shape: tuple[int, int, int]) -> Genome:
    """Repair a genome: drop each unit that would take the smaller side of an image below 2."""
    side = min(image_shape[1:])
    kept: list[Unit] = []
    for unit in genome:
        after = side_after(unit, side)
        if after == side or after >= 2:
            kept.append(unit)
            side = after
    return tuple(kept)


@lru_cache(maxsize=65536)
def side_after(unit: Unit, side: int) -> int:
    """Return the side of a square map behind a unit; one of the head leaves it."""
    return side if unit.is_head else through(unit.layers(1), (1, side, side))[1]
