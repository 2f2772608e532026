"""Generations plot: two objectives, coloured by generation (seed report, figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import plotly.graph_objects as go

from optuna_de._colours import CLASSES, INK
from optuna_de.visualization import style
from optuna_de.visualization.trials import finished_trials, objective_plane
from optuna_de.visualization.trials.objective_plane import Axes, Plane, Point

TITLE = "Pareto front and generations"


@dataclass(frozen=True, slots=True)
class Info:
    """Data of the generations plot; ``excuse`` is the sentence shown if there is nothing."""

    plane: Plane
    points: tuple[Point, ...]
    excuse: str = ""


def plot_generations(
    study: optuna.Study,
    *,
    target_names: Sequence[str] | None = None,
    axes: Axes | None = None,
) -> go.Figure:
    """Plot one objective against another, coloured by the generation of each trial.

    Trials on the front are larger and joined; trials that no sampler planned (enqueued, added)
    are squares; infeasible ones are crosses. The x axis is logarithmic where its values are
    positive and the largest is at least ten times the smallest.

    Args:
        study: Any study; one of a single objective is plotted against the trial number.
        target_names: One name per objective; default: the study's metric names.
        axes: Objectives on the x and y axis; default ``(1, 0)``.

    Raises:
        ValueError: If ``target_names`` or ``axes`` do not fit the study.
    """
    return figure(info(study, target_names, axes))


def info(
    study: optuna.Study, target_names: Sequence[str] | None = None, axes: Axes | None = None
) -> Info:
    """Read the data of the generations plot."""
    finished = finished_trials.entries(study)
    scored = finished_trials.scored(finished)
    plane = objective_plane.plane(study, scored, target_names, axes)
    return Info(plane, objective_plane.points(scored, axes), finished_trials.excuse(finished))


def figure(info: Info) -> go.Figure:
    """Draw the generations plot."""
    if info.excuse:
        return style.sentence_figure(info.excuse, TITLE)
    result = go.Figure([*_front(info), *_clouds(info)])
    result.update_xaxes(title=style.label(info.plane.x_name))
    result.update_yaxes(title=style.label(info.plane.y_name))
    if info.plane.x_log:
        result.update_xaxes(**style.log_axis([p.x for p in info.points]))
    return style.style(result, TITLE, legend_above=True)


def _front(info: Info) -> list[go.Scatter]:
    if info.plane.x_name == "Trial":
        return []
    best = sorted((p.x, p.y) for p in info.points if p.on_front)
    line = {"color": INK, "width": 1.2, "shape": info.plane.step}
    x, y = [p[0] for p in best], [p[1] for p in best]
    return [go.Scatter(x=x, y=y, mode="lines", line=line, name="Pareto front", hoverinfo="skip")]


def _clouds(info: Info) -> list[go.Scatter]:
    planned = [p for p in info.points if p.feasible and p.generation is not None]
    added = [p for p in info.points if p.feasible and p.generation is None]
    broken = [p for p in info.points if not p.feasible]
    red = CLASSES[3]
    shades = _generation_marker([p.generation or 0 for p in planned])
    clouds = [
        ("planned", planned, {"symbol": "circle", "line": style.OUTLINE, **shades}),
        ("added", added, {"symbol": "square-open", "color": red, "line": {"width": 2}}),
        ("infeasible", broken, {"symbol": "x-thin", "line": {"width": 1.5, "color": INK}}),
    ]
    return [_cloud(name, part, marker, info.plane) for name, part, marker in clouds if part]


def _generation_marker(generations: Sequence[int]) -> dict[str, Any]:
    title = "Generation<br>(0: initial<br>population)<br> "
    bar = {"title": {"text": title}, "outlinewidth": 0, "thickness": 14, "len": 1.05}
    if len(set(generations)) < 8:
        bar |= {"tickvals": sorted(set(generations))}
    return {"color": generations, "colorscale": style.ordered_scale(), "colorbar": bar}


def _cloud(name: str, part: Sequence[Point], marker: dict[str, Any], plane: Plane) -> go.Scatter:
    return go.Scatter(
        x=[p.x for p in part],
        y=[p.y for p in part],
        mode="markers",
        name=name,
        marker={"size": [12 if p.on_front else 8 for p in part], "opacity": 1, **marker},
        text=[objective_plane.hover(p, plane) for p in part],
        hovertemplate="%{text}<extra></extra>",
        customdata=[p.number for p in part],
    )
