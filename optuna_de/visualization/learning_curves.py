"""Learning curves plot: loss and error by epoch (seed report, figures 7 and 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial
from plotly.subplots import make_subplots

from optuna_de._attributes import read_curve
from optuna_de.visualization import style
from optuna_de.visualization.trials import finished_trials

TITLE = "Learning curves"
_NAMED = 8


@dataclass(frozen=True, slots=True)
class Curve:
    """Learning curve of a trial: rows of (epoch, loss, validation error); a gap is NaN."""

    number: int
    rows: tuple[tuple[float, float, float], ...]
    chosen: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class Info:
    """Data of the learning curves plot; ``excuse`` is the sentence shown if there is nothing."""

    curves: tuple[Curve, ...]
    excuse: str = ""


def plot_learning_curves(
    study: optuna.Study, *, trials: Sequence[int] | None = None, others: bool = True
) -> go.Figure:
    """Plot training loss and validation error by epoch.

    The curves are the user attribute ``curve``: rows of epoch, training loss, validation error.

    Args:
        study: Any study.
        trials: Numbers of the trials with a line each; default: at most 8, spread over the front.
        others: Whether all other trials are drawn as faint lines.

    Raises:
        ValueError: If one of ``trials`` is no finished trial of the study.
    """
    return figure(info(study, trials, others))


def info(study: optuna.Study, trials: Sequence[int] | None = None, others: bool = True) -> Info:
    """Read the data of the learning curves plot."""
    finished = finished_trials.entries(study)
    known = {e.number for e in finished}
    if unknown := sorted(set(trials or ()) - known):
        raise ValueError(f"Trial {unknown[0]} is no finished trial of this study.")
    chosen = set(_spread(finished) if trials is None else trials)
    every = (_curve(t, t.number in chosen) for t in finished_trials.finished_trials(study))
    curves = tuple(c for c in every if c.rows and (others or c.chosen))
    missing = "No finished trial of this study has a learning curve."
    return Info(curves, "" if curves else _excuse(finished, missing))


def _excuse(finished: Sequence[finished_trials.Entry], missing: str) -> str:
    return missing if finished else finished_trials.excuse(finished)


def _spread(finished: Sequence[finished_trials.Entry]) -> list[int]:
    best = sorted(
        finished_trials.pareto_entries(finished_trials.scored(finished)), key=lambda e: e.losses
    )
    last = len(best) - 1
    if last < _NAMED:
        return [e.number for e in best]
    return [best[round(i * last / (_NAMED - 1))].number for i in range(_NAMED)]


def _curve(trial: FrozenTrial, chosen: bool) -> Curve:
    rows = read_curve(trial.user_attrs.get("curve")) or ()
    return Curve(trial.number, rows, chosen, finished_trials.label_of(trial))


def figure(info: Info) -> go.Figure:
    """Draw the learning curves plot."""
    if info.excuse:
        return style.sentence_figure(info.excuse, TITLE)
    result = make_subplots(cols=2, horizontal_spacing=0.1)
    faint = [c for c in info.curves if not c.chosen]
    for column in (1, 2):
        if faint:
            result.add_trace(_faint(faint, column), row=1, col=column)
        for i, curve in enumerate(c for c in info.curves if c.chosen):
            result.add_trace(_line(curve, column, i), row=1, col=column)
    result.update_xaxes(title="Epoch")
    result.update_yaxes(title="Training loss (nats)", col=1)
    result.update_yaxes(title="Validation error", rangemode="tozero", col=2)
    return style.style(result, TITLE)


def _faint(curves: Sequence[Curve], column: int) -> go.Scatter:
    """Return all curves as one line with gaps, which 2,000 trials need."""
    rows = list(chain.from_iterable((*c.rows, (None, None, None)) for c in curves))
    return go.Scatter(
        x=[row[0] for row in rows],
        y=[row[column] for row in rows],
        mode="lines",
        name=f"{len(curves)} others",
        line={"color": style.FAINT if len(curves) < 200 else style.GRID, "width": 0.6},
        showlegend=column == 1,
        hoverinfo="skip",
    )


def _line(curve: Curve, column: int, index: int) -> go.Scatter:
    text = f"<b>Trial {curve.number}</b><br>{style.shown(curve.label)}"
    return go.Scatter(
        x=[row[0] for row in curve.rows],
        y=[row[column] for row in curve.rows],
        mode="lines+markers",
        name=f"trial {curve.number}",
        legendgroup=str(curve.number),
        showlegend=column == 1,
        line={
            **{"color": style.class_colour(index), "width": 2},
            "dash": style.DASHES[index % len(style.DASHES)],
        },
        marker={"size": 5},
        hovertemplate="%{text}<br>epoch %{x}: %{y:.4f}<extra></extra>",
        text=[text] * len(curve.rows),
    )
