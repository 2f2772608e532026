"""Ancestry of trials, read from their plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna_de.visualization.trials.finished_trials import Entry


def parents(entry: Entry, known: Mapping[int, Entry]) -> list[int]:
    """Return the numbers of the parents that are known, ``best`` first, each once."""
    planned = () if entry.plan is None else entry.plan.parents
    return [p for p in dict.fromkeys(planned) if p in known]


def ancestors(asked: Sequence[int], known: Mapping[int, Entry]) -> list[int]:
    """Return the numbers of trials and of all their ancestors, ascending."""
    family: set[int] = set()
    open_ = list(asked)
    while open_:
        number = open_.pop()
        if number not in family:
            family.add(number)
            open_ += parents(known[number], known)
    return sorted(family)


def trunk(asked: Sequence[int], known: Mapping[int, Entry]) -> tuple[tuple[int, int], ...]:
    """Return the edges (parent, child) from trials back along each one's ``best`` parent."""
    edges: set[tuple[int, int]] = set()
    for number in asked:
        child = number
        while (known_parents := parents(known[child], known)) and (
            edge := (known_parents[0], child)
        ) not in edges:
            edges.add(edge)
            child = known_parents[0]
    return tuple(sorted(edges, key=lambda edge: (edge[1], edge[0])))
