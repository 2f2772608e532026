"""Operators plot: shares of the operators over the search, with F, CR and the step size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import optuna
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from optuna_de.visualization import style
from optuna_de.visualization.trials import finished_trials
from optuna_de.visualization.trials.finished_trials import Entry

TITLE = "Operators"
_MOMENTS = 60
_MOST = 8  # operators with a band of their own
_LABELS = {
    "scale": "F",
    "crossover": "CR",
    "category_crossover": "CR of categories",
    "unit_crossover": "CR of units",
    "step_size": "step size",
    "mutation": "edits",
    "category_mutation": "edits of categories",
    "unit_mutation": "edits of units",
}
_PANELS = {
    "F, CR": ("scale", "crossover", "category_crossover", "unit_crossover"),
    "Edits a child": ("mutation", "category_mutation", "unit_mutation"),
    "Step size": ("step_size",),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Moment of the operators plot: a window of recent trials.

    Args:
        finished: Finished trials so far.
        shares: Share of each operator.
        parameters: Mean of each control parameter, by its name in the plans; those of no plan
            in the window are left out.
    """

    finished: int
    shares: Mapping[str, float]
    parameters: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Info:
    """Data of the operators plot; ``excuse`` is the sentence shown if there is nothing to plot."""

    window: int
    operators: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = ()
    excuse: str = ""


def plot_operators(study: optuna.Study, *, window: int = 40) -> go.Figure:
    """Plot which operators made the most recent trials, and by which control parameters.

    The left panel shows the share of each operator. The right ones show the scale F and the
    crossover CR of differences (Storn and Price, 1997), how many genes of a child are edited at
    random where that is learned, and the step size of CMA-ES (Hansen, 2016), in the unit cube.
    Studies stored by version 0.1.0 have shares alone.

    Args:
        study: Any study; trials that no sampler of this package planned are ``added``.
        window: Number of trials of which a share or a mean is taken, at least 1.

    Raises:
        ValueError: If ``window`` is below 1.
    """
    return figure(info(study, window))


def info(study: optuna.Study, window: int = 40) -> Info:
    """Read the data of the operators plot, at up to 60 moments, the last trial among them."""
    if window < 1:
        raise ValueError(f"window must be at least 1, but is {window}.")
    finished = finished_trials.entries(study)
    scored = finished_trials.scored(finished)
    if not scored:
        return Info(window, excuse=finished_trials.excuse(finished))
    n, counts = len(scored), Counter(entry.operator for entry in scored)
    ends = sorted({-(-n * i // _MOMENTS) for i in range(1, _MOMENTS + 1)} - {0})
    common = [name for name, _ in counts.most_common(_MOST)]
    moments = tuple(_moment(end, scored[:end][-window:]) for end in ends)
    return Info(window, tuple(name for name in counts if name in common), moments)


def _moment(finished: int, recent: Sequence[Entry]) -> Moment:
    counts = Counter(entry.operator for entry in recent)
    values: dict[str, list[float]] = {}
    for entry in recent:
        for name, value in (entry.plan.parameters if entry.plan else {}).items():
            values.setdefault(name, []).append(value)
    means = {name: fmean(series) for name, series in values.items() if name in _LABELS}
    return Moment(finished, {name: k / len(recent) for name, k in counts.items()}, means)


def figure(info: Info) -> go.Figure:
    """Draw the operators plot: a panel of shares, and panels of control parameters."""
    if info.excuse:
        return style.sentence_figure(info.excuse, TITLE)
    held = {name for moment in info.moments for name in moment.parameters}
    panels = {title: [n for n in names if n in held] for title, names in _PANELS.items()}
    panels = {title: names for title, names in panels.items() if names}
    result = make_subplots(cols=1 + len(panels), horizontal_spacing=0.1)
    for index, name in enumerate(info.operators):
        result.add_trace(_band(info, name, index), row=1, col=1)
    for column, (title, names) in enumerate(panels.items(), start=2):
        for name in names:
            result.add_trace(_line(info, name), row=1, col=column)
        _name_axis(result, title, column)
    result.update_xaxes(title=f"Finished trials (means of {info.window})")
    result.update_yaxes(title="Share", range=[0, 1], col=1)
    return style.style(result, TITLE, legend_above=True)


def _band(info: Info, name: str, index: int) -> go.Scatter:
    y = [moment.shares.get(name, 0.0) for moment in info.moments]
    line = {"width": 0.5, "color": style.class_colour(index)}
    x = [moment.finished for moment in info.moments]
    return go.Scatter(
        **{"x": x, "y": y, "name": style.label(name), "line": line},
        **{"mode": "lines" if len(x) > 1 else "markers", "stackgroup": "shares"},
    )


def _line(info: Info, name: str) -> go.Scatter:
    held = [moment for moment in info.moments if name in moment.parameters]
    index = list(_LABELS).index(name)
    dash = style.DASHES[index % len(style.DASHES)]
    line = {"color": style.class_colour(4 + index), "width": 2.5, "dash": dash}
    return go.Scatter(
        x=[moment.finished for moment in held],
        y=[moment.parameters[name] for moment in held],
        **{"name": _LABELS[name], "line": line, "mode": "lines" if len(held) > 1 else "markers"},
    )


def _name_axis(result: go.Figure, title: str, column: int) -> None:
    if title == "Step size":
        result.update_yaxes(title=title, type="log", exponentformat="power", col=column)
    elif title == "F, CR":
        result.update_yaxes(title=title, range=[0, 1.03], col=column)
    else:
        result.update_yaxes(title=title, rangemode="tozero", col=column)
