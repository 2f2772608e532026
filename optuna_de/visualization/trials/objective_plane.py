"""Objective plane: the two objectives on the axes and the trials as points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna

from optuna_de.evolution.pareto import signs_of
from optuna_de.visualization.style import shown
from optuna_de.visualization.trials import finished_trials
from optuna_de.visualization.trials.finished_trials import Entry

Axes = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Point:
    """A trial with values at its place ``(x, y)``."""

    number: int
    x: float
    y: float
    generation: int | None = None
    feasible: bool = True
    on_front: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class Plane:
    """The axes: their names, whether x is logarithmic, and whether a larger x is better."""

    x_name: str
    y_name: str
    x_log: bool
    x_grows: bool = False

    @property
    def step(self) -> str:
        """The plotly line shape that bounds what a front dominates."""
        return "vh" if self.x_grows else "hv"


def plane(
    study: optuna.Study,
    scored: Sequence[Entry],
    target_names: Sequence[str] | None,
    axes: Axes | None,
) -> Plane:
    """Return the plane of two objectives, of the trial number and the objective if it is one.

    Raises:
        ValueError: If ``axes`` are not two objectives of the study.
    """
    names = finished_trials.names_of(study, target_names)
    if len(names) == 1:
        return Plane("Trial", names[0], x_log=False)
    x, y = checked(axes, len(names))
    x_log = finished_trials.is_wide(e.values[x] for e in scored)
    return Plane(names[x], names[y], x_log, signs_of(study.directions)[x] < 0)


def checked(axes: Axes | None, objectives: int) -> Axes:
    """Return the objectives on the axes, second against first where not given."""
    if axes is None:
        return 1, 0
    if len(axes) != 2 or not all(0 <= i < objectives for i in axes):
        raise ValueError(
            f"axes must be two objectives of 0 to {objectives - 1}, but are {tuple(axes)}."
        )
    return axes


def points(scored: Sequence[Entry], axes: Axes | None) -> tuple[Point, ...]:
    """Return the entries as points of the plane."""
    best = {e.number for e in finished_trials.pareto_entries(scored)}
    return tuple(
        Point(e.number, *place(e, axes), e.generation, e.feasible, e.number in best, e.label)
        for e in scored
    )


def place(entry: Entry, axes: Axes | None) -> tuple[float, float]:
    """Return the place of an entry in the plane."""
    if len(entry.values) == 1:
        return float(entry.number), entry.values[0]
    x, y = checked(axes, len(entry.values))
    return entry.values[x], entry.values[y]


def hover(point: Point, plane: Plane) -> str:
    """Return what a point says, escaped."""
    origin = finished_trials.generation_text(point.generation)
    lines = [f"<b>Trial {point.number}</b>, {origin}", *([shown(point.label)] * bool(point.label))]
    lines += [f"{shown(plane.y_name)}: {point.y:.6g}", f"{shown(plane.x_name)}: {point.x:,.7g}"]
    return "<br>".join([*lines, *(["infeasible"] * (not point.feasible))])
