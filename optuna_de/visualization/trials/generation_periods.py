"""Periods: generations grouped so that a figure stays readable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna_de.visualization.trials.finished_trials import Entry


@dataclass(frozen=True, slots=True)
class Period:
    """The generations ``first`` to ``last`` and their trials; ``None`` for unplanned trials."""

    first: int | None
    last: int | None
    numbers: tuple[int, ...]

    @property
    def name(self) -> str:
        """What a legend calls it."""
        if self.first is None:
            return "added"
        if self.first == self.last:
            return f"generation {self.first}"
        return f"generations {self.first}-{self.last}"


def periods(scored: Sequence[Entry], limit: int) -> tuple[Period, ...]:
    """Return the trials by generation, in at most ``limit`` periods of about as many trials.

    Unplanned trials come first, as a period of their own that does not count.
    """
    added = tuple(e.number for e in scored if e.generation is None)
    counts: dict[int, list[int]] = {}
    for entry in scored:
        if entry.generation is not None:
            counts.setdefault(entry.generation, []).append(entry.number)
    result = [Period(None, None, added)] if added else []
    open_ = sorted(counts)
    for left in range(limit, 0, -1):
        if not open_:
            break
        size = _size([len(counts[g]) for g in open_], left)
        group, open_ = open_[:size], open_[size:]
        numbers = tuple(sorted(n for g in group for n in counts[g]))
        result.append(Period(group[0], group[-1], numbers))
    return tuple(result)


def _size(counts: Sequence[int], left: int) -> int:
    """Return how many generations fill the next of ``left`` periods, one for each at least."""
    if len(counts) <= left:
        return 1
    wanted = sum(counts) / left
    size, filled = 1, counts[0]
    while len(counts) - size > left - 1 and (left == 1 or filled + counts[size] / 2 <= wanted):
        filled += counts[size]
        size += 1
    return size
