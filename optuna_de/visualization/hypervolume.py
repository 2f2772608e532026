"""Hypervolume plot: hypervolume of the front against finished trials and against compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import optuna
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from optuna_de.evolution.pareto import signs_of
from optuna_de.visualization import style
from optuna_de.visualization.trials import finished_trials
from optuna_de.visualization.trials.finished_trials import Entry
from optuna_de.visualization.trials.hypervolume_box import Box, recorded_reference

TITLE = "Hypervolume"
_VISIBLE = 0.002  # of the box


@dataclass(frozen=True, slots=True)
class Curve:
    """Hypervolume of a study's front after each finished trial.

    Args:
        study_name: The study's name.
        numbers: The trials' numbers.
        seconds: Compute so far, failed trials included.
        volumes: Shares of the box, in ``[0, 1]``.
    """

    study_name: str
    numbers: tuple[int, ...]
    seconds: tuple[float, ...]
    volumes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Info:
    """Data of the hypervolume plot; ``reference`` has the objectives' units."""

    curves: tuple[Curve, ...]
    names: tuple[str, ...]
    reference: tuple[float, ...]
    log: tuple[bool, ...]
    excuse: str = ""


def plot_hypervolume(
    study: optuna.Study | Sequence[optuna.Study],
    *,
    target_names: Sequence[str] | None = None,
    reference_point: Sequence[float] | None = None,
) -> go.Figure:
    """Plot the hypervolume of the front against finished trials or against compute.

    Args:
        study: A study of two objectives or more, or several of the same objectives.
        target_names: One name per objective; default: the study's metric names.
        reference_point: One value per objective, in its units; default: that of a search's region
            of interest, else the worst value of any feasible trial and a tenth of the range (of
            logarithms where an objective spans a factor of ten) beyond.

    Raises:
        ValueError: If a study has one objective, the studies differ in theirs, or an argument
            does not fit them.
    """
    return figure(info(study, target_names, reference_point))


def info(
    study: optuna.Study | Sequence[optuna.Study],
    target_names: Sequence[str] | None = None,
    reference_point: Sequence[float] | None = None,
) -> Info:
    """Read the data of the hypervolume plot."""
    studies = [study] if isinstance(study, optuna.Study) else list(study)
    names = finished_trials.names_of(_first(studies, reference_point), target_names)
    runs = [finished_trials.entries(s) for s in studies]
    known = [e for run in runs for e in finished_trials.scored(run) if e.feasible]
    losses = finished_trials.loss_array(known)
    if not len(losses := losses[np.isfinite(losses).all(axis=1)] if known else losses):
        every = [e for run in runs for e in run]
        return Info(
            (), names, (), (), finished_trials.excuse(every) or "No trial is feasible yet."
        )
    if reference_point is None:
        reference_point = recorded_reference(studies, runs[0])
    signs = np.array(signs_of(studies[0].directions))
    box = Box.around(losses, signs, reference_point)
    curves = (_curve(s.study_name, run, box) for s, run in zip(studies, runs, strict=True))
    return Info(tuple(curves), names, box.reference_values, box.log)


def _first(studies: Sequence[optuna.Study], reference: Sequence[float] | None) -> optuna.Study:
    if not studies:
        raise ValueError("plot_hypervolume needs at least one study, but got an empty sequence.")
    for study in studies:
        finished_trials.require_several(study)
        if study.directions != studies[0].directions:
            raise ValueError(
                f"Studies plotted together need the same directions, but {study.study_name!r} "
                f"has {[d.name for d in study.directions]}."
            )
    n = len(studies[0].directions)
    if reference is not None and len(reference) != n:
        raise ValueError(f"reference_point has {len(reference)} values, but {n} are needed.")
    return studies[0]


def _curve(name: str, run: Sequence[Entry], box: Box) -> Curve:
    front = np.empty((0, len(box.log)))
    volume, volumes = 0.0, []
    for entry in run:
        if entry.values and entry.feasible and np.isfinite(entry.losses).all():
            point = box.scale(entry.losses)
            if (point < box.reference).all() and not (front <= point).all(axis=1).any():
                front = np.vstack([front[(front < point).any(axis=1)], point])
                volume = box.share(front)
        volumes.append(volume)
    seconds = tuple(accumulate(e.seconds for e in run))
    return Curve(name, tuple(e.number for e in run), seconds, tuple(volumes))


def figure(info: Info) -> go.Figure:
    """Draw the hypervolume plot."""
    if info.excuse:
        return style.sentence_figure(info.excuse, TITLE)
    result = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.06)
    for i, curve in enumerate(info.curves):
        finished = tuple(range(1, len(curve.numbers) + 1))
        result.add_trace(_line(curve, finished, i), row=1, col=1)
        result.add_trace(_line(curve, curve.seconds, i).update(showlegend=False), row=1, col=2)
    unit, divisor = _unit(max(curve.seconds[-1] for curve in info.curves if curve.seconds))
    for trace in result.data[1::2]:
        trace.x = [s / divisor for s in trace.x]
    result.update_xaxes(title="Finished trials", col=1)
    result.update_xaxes(title=f"Compute ({unit})", col=2)
    result.update_yaxes(title="Dominated share of the box", col=1)
    result.update_yaxes(rangemode="tozero")
    result.update_layout(showlegend=len(info.curves) > 1)
    return style.style(result, TITLE, subtitle=_caption(info))


def _unit(seconds: float) -> tuple[str, float]:
    units = [("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0)]
    return next(u for u in units if seconds >= 2 * u[1] or u[1] == 1.0)


def _caption(info: Info) -> str:
    parts = (
        f"{style.label(name)} {_short(value)}{' (log)' if is_log else ''}"
        for name, value, is_log in zip(info.names, info.reference, info.log, strict=True)
    )
    return "reference point: " + ", ".join(parts)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _line(curve: Curve, x: Sequence[float], index: int) -> go.Scatter:
    name = style.label(curve.study_name)
    kept = _corners(curve.volumes)
    return go.Scatter(
        x=[x[i] for i in kept],
        y=[curve.volumes[i] for i in kept],
        mode="lines" if len(kept) > 1 else "markers",
        name=name,
        line={
            **{"shape": "hv", "width": 2.5, "color": style.class_colour(index)},
            "dash": style.DASHES[index % len(style.DASHES)],
        },
        text=[f"{name}, trial {curve.numbers[i]}: {curve.volumes[i]:.4f}" for i in kept],
        hovertemplate="%{text}<extra></extra>",
    )


def _corners(volumes: Sequence[float]) -> list[int]:
    """Return the ends of a step line and where it has risen by a visible step."""
    last = len(volumes) - 1
    kept = [0] if volumes else []
    for i, volume in enumerate(volumes):
        if volume - volumes[kept[-1]] >= _VISIBLE or (i == last and last > 0):
            kept.append(i)
    return kept
