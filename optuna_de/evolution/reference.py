"""Reference point of a search: losses beyond it count nothing. No Optuna.

A decision maker's reference point, as hypervolume has it, bounds every loss from above. Members
beyond it come after all others, those that exceed it least first, as infeasible ones do (Deb,
2000).
"""

from __future__ import annotations

from collections.abc import Sequence

from optuna_de.evolution.pareto import Point

REACHED = 0.75
"""Share of the first networks that a reference point has to hold."""


def reachable_reference(reference: Point, first: Sequence[Point]) -> Point:
    """Return a reference point that three of four first losses reach, in each objective.

    A bound that fewer of them reach moves to the loss that three of four do; others stay.

    Args:
        reference: Bounds of the m losses; ``inf`` for none.
        first: Losses of the first trials, n of m each.
    """
    if not first:
        return reference
    place = min(int(REACHED * len(first)), len(first) - 1)
    return tuple(
        max(bound, sorted(losses)[place])
        for bound, losses in zip(reference, zip(*first, strict=True), strict=True)
    )


def excess(losses: Point, reference: Point) -> float:
    """Return by how much losses lie beyond a reference point, 0 within it.

    Each is counted in units of its bound, so that objectives of different scales add up.
    """
    return sum(
        max(0.0, loss - bound) / (abs(bound) or 1.0)
        for loss, bound in zip(losses, reference, strict=True)
        if bound < float("inf")
    )
