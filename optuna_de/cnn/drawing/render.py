"""Rendering of a picture as one SVG element or as a plotly figure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from optuna_de._colours import INK
from optuna_de.cnn.drawing.layout import Picture, Rect, Text

if TYPE_CHECKING:
    import plotly.graph_objects as go


def to_svg(drawn: Picture) -> str:
    """Render a picture as one self-contained SVG element; all text is escaped."""
    width, height = round(drawn.width), round(drawn.height)
    lines = (" ".join(f"{x:.1f},{y:.1f}" for x, y in line) for line in drawn.lines)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(drawn.title)}" '
            f'font-family="Helvetica, Arial, sans-serif" fill="{INK}">',
            *(f'<polyline points="{p}" fill="none" stroke="{INK}"/>' for p in lines),
            *map(_svg_rect, drawn.rects),
            *map(_svg_text, drawn.texts),
            "</svg>",
        ]
    )


def _svg_rect(rect: Rect) -> str:
    return (
        f'<rect x="{rect.x:.1f}" y="{rect.y:.1f}" width="{rect.width:.1f}" '
        f'height="{rect.height:.1f}" fill="{rect.colour}" stroke="{INK}" stroke-width="0.5">'
        f"<title>{escape(rect.note)}</title></rect>"
    )


def _svg_text(text: Text) -> str:
    weight = ' font-weight="bold"' if text.bold else ""
    anchor = ' text-anchor="middle"' if text.centred else ""
    place = f'x="{text.x:.1f}" y="{text.y:.1f}" font-size="{text.size}"'
    return f"<text {place}{weight}{anchor}>{escape(text.text)}</text>"


def to_figure(drawn: Picture) -> go.Figure:
    """Render a picture as a plotly figure of the same size; all text is escaped."""
    import plotly.graph_objects as go  # a worker that draws SVG only need not load it

    axis: dict[str, Any] = {"visible": False, "showgrid": False}
    figure = go.Figure([_plotly_lines(drawn), _plotly_notes(drawn)])
    return figure.update_layout(
        shapes=[_plotly_rect(rect) for rect in drawn.rects],
        annotations=[_plotly_text(text) for text in drawn.texts],
        xaxis={**axis, "range": [0, drawn.width]},
        yaxis={**axis, "range": [drawn.height, 0]},
        width=round(max(drawn.width, 10)),
        height=round(max(drawn.height, 10)),
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
        hoverlabel={"align": "left"},
    )


def _plotly_rect(rect: Rect) -> dict[str, Any]:
    corners = {"x0": rect.x, "x1": rect.x + rect.width, "y0": rect.y, "y1": rect.y + rect.height}
    return {
        "type": "rect",
        "fillcolor": rect.colour,
        "line": {"color": INK, "width": 0.5},
    } | corners


def _plotly_text(text: Text) -> dict[str, Any]:
    plain = escape(text.text, quote=False)
    return {
        **{"x": text.x, "y": text.y, "yanchor": "bottom", "yshift": -text.size * 0.35},
        **{"text": f"<b>{plain}</b>" if text.bold else plain, "showarrow": False},
        **{"xanchor": "center" if text.centred else "left", "borderpad": 0},
        "font": {"size": text.size, "color": INK},
    }


def _plotly_lines(drawn: Picture) -> Any:
    points = [point for line in drawn.lines for point in (*line, (None, None))]
    return {
        **{"type": "scatter", "mode": "lines", "hoverinfo": "skip"},
        **{"x": [x for x, _ in points], "y": [y for _, y in points]},
        "line": {"color": INK, "width": 1},
    }


def _plotly_notes(drawn: Picture) -> Any:
    return {
        **{"type": "scatter", "mode": "markers", "marker": {"size": 12, "opacity": 0}},
        "x": [rect.x + rect.width / 2 for rect in drawn.rects],
        "y": [rect.y + rect.height / 2 for rect in drawn.rects],
        "text": [escape(rect.note, quote=False).replace("\n", "<br>") for rect in drawn.rects],
        "hovertemplate": "%{text}<extra></extra>",
    }
