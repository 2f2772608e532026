"""Pictures of architectures: SVG and plotly, one or several side by side. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias

from optuna_de.cnn.blueprint import (
    INK,
    Picture,
    Rect,
    Scale,
    Stage,
    Text,
    amount,
    picture,
    stages,
)
from optuna_de.cnn.layers import ImageShape
from optuna_de.cnn.units import Unit, parse, render

if TYPE_CHECKING:
    import plotly.graph_objects as go

Drawable: TypeAlias = "str | Sequence[Unit]"
Drawables: TypeAlias = "Sequence[Drawable] | Mapping[str, Drawable]"
_LONGEST = 120


def draw_svg(
    architecture: Drawable,
    image_shape: ImageShape = (3, 32, 32),
    classes: int = 10,
    *,
    title: str | None = None,
) -> str:
    """Draw a network as one self-contained SVG element.

    Each unit stands to scale with its text form, output shape and parameters; pointing at it
    shows its layers.

    Args:
        architecture: A genome or its text form.
        image_shape: ``(channels, height, width)``.
        classes: Number of classes.
        title: Any text; default: the text form.

    Raises:
        ValueError: Where the architecture is not understood or does not fit the images.
    """
    return _svg(_stack(_named(architecture, title), image_shape, classes))


def draw_comparison_svg(
    architectures: Drawables, image_shape: ImageShape = (3, 32, 32), classes: int = 10
) -> str:
    """Draw several networks below each other in one scale as SVG, see :func:`draw_svg`."""
    return _svg(_stack(_mapping(architectures), image_shape, classes))


def plot_architecture(
    architecture: Drawable,
    image_shape: ImageShape = (3, 32, 32),
    classes: int = 10,
    *,
    title: str | None = None,
) -> go.Figure:
    """Draw a network as a plotly figure, see :func:`draw_svg`."""
    return _figure(_stack(_named(architecture, title), image_shape, classes))


def plot_comparison(
    architectures: Drawables, image_shape: ImageShape = (3, 32, 32), classes: int = 10
) -> go.Figure:
    """Draw several networks below each other in one scale.

    Args:
        architectures: Genomes or text forms, or a mapping of titles to them; at least one.
        image_shape: ``(channels, height, width)``.
        classes: Number of classes.

    Raises:
        ValueError: Where there is none, or one is not understood or does not fit the images.
    """
    return _figure(_stack(_mapping(architectures), image_shape, classes))


Named: TypeAlias = Sequence[tuple[str, Sequence[Unit]]]


def _named(architecture: Drawable, title: str | None) -> Named:
    genome = _genome(architecture)
    return [(render(genome) if title is None else title, genome)]


def _mapping(architectures: Drawables) -> Named:
    if isinstance(architectures, str) or not architectures:
        raise ValueError(
            f"A comparison needs a list or mapping of architectures, but got {architectures!r}."
        )
    if isinstance(architectures, Mapping):
        return [(str(name), _genome(a)) for name, a in architectures.items()]
    return [named for a in architectures for named in _named(a, None)]


def _genome(architecture: Drawable) -> Sequence[Unit]:
    return parse(architecture) if isinstance(architecture, str) else architecture


def _stack(named: Named, image_shape: ImageShape, classes: int) -> Picture:
    """Return the pictures of networks below each other, in one scale."""
    columns = [stages(genome, image_shape, classes) for _, genome in named]
    scale = Scale.of([stage for row in columns for stage in row])
    rows = [
        picture(row, _cut(title), scale, subtitle=_cut(_totals(genome, row, title)))
        for (title, genome), row in zip(named, columns, strict=True)
    ]
    top, shifted = 0.0, []
    for row in rows:
        shifted.append(_shift(row, top))
        top += row.height
    return Picture(
        max(row.width for row in rows),
        top,
        "; ".join(row.title for row in rows),
        tuple(rect for row in shifted for rect in row.rects),
        tuple(line for row in shifted for line in row.lines),
        tuple(text for row in shifted for text in row.texts),
    )


def _totals(genome: Sequence[Unit], columns: Sequence[Stage], title: str) -> str:
    parameters = sum(stage.parameters for stage in columns)
    macs = sum(layer.macs for stage in columns for layer in stage.layers)
    name = "" if title == render(genome) else f"{render(genome)}, "
    return f"{name}{parameters:,} parameters, {amount(macs)} MACs"


def _cut(text: str) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


def _shift(row: Picture, down: float) -> Picture:
    return replace(
        row,
        rects=tuple(replace(rect, y=rect.y + down) for rect in row.rects),
        lines=tuple(tuple((x, y + down) for x, y in line) for line in row.lines),
        texts=tuple(replace(text, y=text.y + down) for text in row.texts),
    )


def _svg(drawn: Picture) -> str:
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


def _figure(drawn: Picture) -> go.Figure:
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
