"""Pairwise fronts: a plane for each pair of objectives, with all trials and the front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import optuna
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from optuna_de.visualization import style
from optuna_de.visualization.trials import finished_trials, objective_plane
from optuna_de.visualization.trials.objective_plane import Plane, Point

TITLE = "Fronts of pairs"
_MOST = 5  # objectives; ten planes


@dataclass(frozen=True, slots=True)
class Info:
    """Data of the pairwise fronts: each plane and its points; ``excuse`` if there are none."""

    planes: tuple[tuple[Plane, tuple[Point, ...]], ...]
    excuse: str = ""


def plot_pairwise_fronts(
    study: optuna.Study, *, target_names: Sequence[str] | None = None
) -> go.Figure:
    """Plot the trials in the plane of each pair of objectives; the front is that of all.

    Args:
        study: A study of two objectives or more; of more than five the first five are shown.
        target_names: One name per objective; default: the study's metric names.

    Raises:
        ValueError: If the study has one objective, or the names do not fit.
    """
    return figure(info(study, target_names))


def info(study: optuna.Study, target_names: Sequence[str] | None = None) -> Info:
    """Read the data of the pairwise fronts."""
    finished_trials.require_several(study)
    finished = finished_trials.entries(study)
    scored = finished_trials.scored(finished)
    pairs = combinations(range(min(len(study.directions), _MOST)), 2)
    planes = tuple(
        (
            objective_plane.plane(study, scored, target_names, (x, y)),
            objective_plane.points(scored, (x, y)),
        )
        for y, x in pairs
    )
    return Info(planes, finished_trials.excuse(finished))


def figure(info: Info) -> go.Figure:
    """Draw pairwise fronts: a plane for each pair of objectives."""
    if info.excuse:
        return style.sentence_figure(info.excuse, TITLE)
    columns = min(3, len(info.planes))
    rows = -(-len(info.planes) // columns)
    result = make_subplots(rows, columns, horizontal_spacing=0.09)
    for number, (plane, points) in enumerate(info.planes):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        for best in (False, True):
            result.add_trace(_marks(points, plane, best=best, legend=number == 0), **place)
        result.update_xaxes(title=style.label(plane.x_name), **place)
        result.update_yaxes(title=style.label(plane.y_name), **place)
        if plane.x_log:
            result.update_xaxes(**style.log_axis([p.x for p in points]), **place)
    style.style(result, TITLE, legend_above=True)
    result.update_layout(height=max(450, 380 * rows))
    return result


def _marks(points: Sequence[Point], plane: Plane, *, best: bool, legend: bool) -> go.Scatter:
    shown = [p for p in points if p.on_front == best]
    return go.Scatter(
        x=[p.x for p in shown],
        y=[p.y for p in shown],
        mode="markers",
        name="front of all objectives" if best else "other trials",
        legendgroup=str(best),
        showlegend=legend,
        marker={
            "size": 9 if best else 5,
            "color": style.shade(0.1) if best else style.FAINT,
            "line": style.OUTLINE if best else {"width": 0},
        },
        text=[objective_plane.hover(p, plane) for p in shown],
        hovertemplate="%{text}<extra></extra>",
        customdata=[p.number for p in shown],
    )
