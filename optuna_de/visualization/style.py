"""Style of all figures: colours of classes and shares, labels, text, titles, axes.

Backgrounds are transparent, so that a figure can be read in print and in dark mode. Colours of
what has an order are cividis (Nunez et al., 2018) without its ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from optuna_de._colours import CLASSES, INK
from optuna_de._text import printable

GRID = "rgba(119,119,119,0.25)"
FAINT = "rgba(119,119,119,0.45)"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
OUTLINE = {"width": 0.7, "color": INK}
_LOW, _HIGH = 0.2, 0.95


def ordered_scale() -> list[tuple[float, str]]:
    """Return the colour scale of what has an order, for colour bars."""
    return [(i / 10, shade(i / 10)) for i in range(11)]


def shade(share: float) -> str:
    """Return the colour of a share in [0, 1] of what has an order."""
    colour: str = sample_colorscale("cividis", [_LOW + share * (_HIGH - _LOW)])[0]
    return colour


def class_colour(index: int) -> str:
    """Return the colour of a class in all figures; more classes than colours repeat them."""
    return CLASSES[index % len(CLASSES)]


def shown(text: object, limit: int = 160) -> str:
    """Return foreign text as figures may show it: cut, and escaped, for plotly reads tags."""
    plain = " ".join(printable(str(text)).split())
    cut = plain if len(plain) <= limit else f"{plain[: limit - 1]}…"
    return escape(cut, quote=False)


def label(text: object) -> str:
    """Return a label of figures: foreign text for an axis or a legend, see :func:`shown`."""
    return shown(text, 40)


def style(
    figure: go.Figure, title: str, *, subtitle: str = "", legend_above: bool = False
) -> go.Figure:
    """Give a figure the shared style and its titles, escaped; returns the figure."""
    above = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0} if legend_above else {}
    figure.update_layout(
        title={
            **({"subtitle": {"text": subtitle, "font": {"size": 12}}} if subtitle else {}),
            **{"text": title, "x": 0.0, "xref": "paper", "font": {"size": 17}},
            **{"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 16}},
        },
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 13},
        hoverlabel={"align": "left"},
        margin={"l": 70, "r": 30, "t": 95 if legend_above else 75 if subtitle else 60, "b": 60},
        legend={"bgcolor": "rgba(0,0,0,0)", **above},
        colorway=list(CLASSES),
    )
    axis = {"gridcolor": GRID, "linecolor": INK, "zeroline": False, "ticks": "outside"}
    figure.update_xaxes(**axis, tickcolor=INK)
    figure.update_yaxes(**axis, tickcolor=INK)
    return figure


def log_axis(values: Sequence[float]) -> dict[str, Any]:
    """Return the settings of a logarithmic axis: whole powers of ten, and 2 and 5 if few.

    Numbers of 1 or more read 500, 2k, 10k, 1M; smaller ones .05, .1, .2 in full.
    """
    positive = [v for v in values if 0 < v < float("inf")]
    wide = bool(positive) and max(positive) / min(positive) > 300
    text = "~s" if positive and min(positive) >= 1 else "~g"
    return {"type": "log", "dtick": 1 if wide else "D2", "tickformat": text}


def sentence_figure(sentence: str, title: str) -> go.Figure:
    """Return a figure that shows text in place of data."""
    figure = style(go.Figure(), title)
    figure.update_layout(
        xaxis={"visible": False},
        yaxis={"visible": False},
        annotations=[
            {
                "text": shown(sentence),
                "showarrow": False,
                "font": {"size": 15, "color": INK},
                **{"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"},
            }
        ],
    )
    return figure
