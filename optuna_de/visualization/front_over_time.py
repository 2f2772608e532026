"""Front plot: the Pareto front after several numbers of finished trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
import plotly.graph_objects as go

from optuna_de.visualization import style
from optuna_de.visualization.trials import finished_trials, objective_plane
from optuna_de.visualization.trials.objective_plane import Axes, Plane, Point

TITLE = "Front over time"


@dataclass(frozen=True, slots=True)
class FrontAtTime:
    """The front after ``finished`` trials, by growing x."""

    finished: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Info:
    """Data of the front plot; ``excuse`` is the sentence shown if there is nothing to plot."""

    plane: Plane
    fronts: tuple[FrontAtTime, ...]
    excuse: str = ""


def plot_front_over_time(
    study: optuna.Study,
    *,
    target_names: Sequence[str] | None = None,
    axes: Axes | None = None,
    moments: int = 4,
) -> go.Figure:
    """Plot the Pareto front after several numbers of finished trials.

    Args:
        study: A study of two objectives or more; the front is that of all objectives.
        target_names: One name per objective; default: the study's metric names.
        axes: Objectives on the x and y axis; default ``(1, 0)``.
        moments: Number of fronts, at least 1, evenly spread over the finished trials.

    Raises:
        ValueError: If the study has one objective, or an argument does not fit it.
    """
    return figure(info(study, target_names, axes, moments))


def info(
    study: optuna.Study,
    target_names: Sequence[str] | None = None,
    axes: Axes | None = None,
    moments: int = 4,
) -> Info:
    """Read the data of the front plot."""
    if moments < 1:
        raise ValueError(f"moments must be at least 1, but is {moments}.")
    finished_trials.require_several(study)
    finished = finished_trials.entries(study)
    plane = objective_plane.plane(study, finished_trials.scored(finished), target_names, axes)
    counts = sorted({-(-len(finished) * i // moments) for i in range(1, moments + 1)} - {0})
    fronts = (FrontAtTime(n, _at(finished[:n], axes)) for n in counts)
    shown = tuple(front for front in fronts if front.points)
    feasible = "" if shown else "No trial of this study is feasible yet."
    return Info(plane, shown, finished_trials.excuse(finished) or feasible)


def _at(finished: Sequence[finished_trials.Entry], axes: Axes | None) -> tuple[Point, ...]:
    best = objective_plane.points(
        finished_trials.pareto_entries(finished_trials.scored(finished)), axes
    )
    return tuple(sorted(best, key=lambda p: (p.x, p.y)))


def figure(info: Info) -> go.Figure:
    """Draw the front plot: fronts over time."""
    if info.excuse:
        return style.sentence_figure(info.excuse, TITLE)
    last = max(len(info.fronts) - 1, 1)
    result = go.Figure([_line(f, i / last, i, info.plane) for i, f in enumerate(info.fronts)])
    result.update_xaxes(title=style.label(info.plane.x_name))
    result.update_yaxes(title=style.label(info.plane.y_name))
    if info.plane.x_log:
        xs = [p.x for front in info.fronts for p in front.points]
        result.update_xaxes(**style.log_axis(xs))
    return style.style(result, TITLE)


def _line(front: FrontAtTime, share: float, index: int, plane: Plane) -> go.Scatter:
    symbols = ("circle", "square", "diamond", "triangle-up", "pentagon", "star")
    colour = style.shade(share)
    return go.Scatter(
        x=[p.x for p in front.points],
        y=[p.y for p in front.points],
        mode="lines+markers",
        name=f"{front.finished} trials",
        line={"color": colour, "width": 1 + 1.5 * share, "shape": plane.step},
        marker={
            **{"symbol": symbols[index % len(symbols)], "size": 9, "color": colour},
            "line": style.OUTLINE,
        },
        text=[objective_plane.hover(p, plane) for p in front.points],
        hovertemplate="%{text}<extra></extra>",
        customdata=[p.number for p in front.points],
    )
