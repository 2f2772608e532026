"""Parallel objectives: an axis for each objective, a line for each network of the front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
import plotly.graph_objects as go

from optuna_de.visualization import style
from optuna_de.visualization.trials import finished_trials
from optuna_de.visualization.trials.finished_trials import Entry

TITLE = "Objectives in parallel"
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Info:
    """Parallel objectives: data of each network of the front; ``excuse`` says if there is none."""

    names: tuple[str, ...]
    front: tuple[Entry, ...]
    excuse: str = ""


def plot_parallel_objectives(
    study: optuna.Study, *, target_names: Sequence[str] | None = None
) -> go.Figure:
    """Plot the objectives of each network of the front, an axis each, in parallel.

    A value of 0 or more with a wide range is on a logarithmic axis. Colours follow the first
    objective.

    Args:
        study: A study of two objectives or more.
        target_names: One name per objective; default: the study's metric names.

    Raises:
        ValueError: If the study has one objective, or the names do not fit.
    """
    return figure(info(study, target_names))


def info(study: optuna.Study, target_names: Sequence[str] | None = None) -> Info:
    """Read the objectives of each network of the front for parallel axes."""
    finished_trials.require_several(study)
    finished = finished_trials.entries(study)
    scored = [e for e in finished_trials.scored(finished) if np.isfinite(e.values).all()]
    front = finished_trials.pareto_entries(scored)
    names = finished_trials.names_of(study, target_names)
    nothing = "" if front else "No finite trial of this study is feasible yet."
    return Info(names, front, finished_trials.excuse(finished) or nothing)


def figure(info: Info) -> go.Figure:
    """Draw parallel objectives: an axis for each, a line for each network."""
    if info.excuse:
        return style.sentence_figure(info.excuse, TITLE)
    values = np.array([entry.values for entry in info.front])
    dimensions = [_axis(name, values[:, i]) for i, name in enumerate(info.names)]
    line = {"color": values[:, 0], "colorscale": style.ordered_scale()}
    result = go.Figure(go.Parcoords(dimensions=dimensions, line=line))
    style.style(result, TITLE, subtitle=f"{len(info.front):,} networks of the front")
    result.update_layout(margin={"t": 110, "l": 70, "r": 70, "b": 40})
    return result


def _axis(name: str, values: np.ndarray) -> dict[str, object]:
    label = style.label(name)
    if not finished_trials.is_wide(values):
        return {"label": label, "values": values}
    logs = np.log10(values)
    ticks = np.linspace(logs.min(), logs.max(), _TICKS)
    shown = [f"{v:,.0f}" if v >= 1000 else f"{v:.3g}" for v in 10**ticks]
    return {"label": label, "values": logs, "tickvals": ticks, "ticktext": shown}
