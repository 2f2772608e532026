"""The picture of a network as rectangles, lines and texts, to scale. Knows neither SVG nor plotly.

Coordinates are pixels, y points down. A map is as high as its side and as wide as the square root
of its channels; a layer of features is as high as the square root of their number. Bars below
are the layers' parameters, linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

from optuna_de._colours import INK
from optuna_de._text import TIMES, amount, times
from optuna_de.cnn.architecture.layers import Shape
from optuna_de.cnn.architecture.units import Parallel, Residual, Separable
from optuna_de.cnn.drawing.columns import BAR, Scale, Stage, note

COLOURS = {
    **{"conv": "#0072B2", "norm_conv": "#56B4E9", "down_conv": "#CC79A7", "residual": "#009E73"},
    **{"separable": "#F0E442", "parallel": "#E69F00", "max_pool": "#D55E00"},
    **{"avg_pool": "#999999", "gap": "#999999", "fc": INK, "image": "#BBBBBB"},
}  # Okabe and Ito (2008); greys for what has no parameters, and for the head
_CHANNEL = 2.2  # pixels per root of a channel
_COLUMN, _GAP, _LINE = 60.0, 14.0, 14.0


@dataclass(frozen=True, slots=True)
class Rect:
    """A filled rectangle; ``note`` is shown when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text with its baseline at ``y``."""

    x: float
    y: float
    text: str
    size: int = 11
    bold: bool = False
    centred: bool = True


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn on ``width`` by ``height`` pixels; ``lines`` are of points ``(x, y)``."""

    width: float
    height: float
    title: str
    rects: tuple[Rect, ...] = ()
    lines: tuple[tuple[tuple[float, float], ...], ...] = ()
    texts: tuple[Text, ...] = ()


@dataclass(slots=True)
class _Pen:
    """Collects what is drawn."""

    rects: list[Rect] = field(default_factory=list)
    lines: list[tuple[tuple[float, float], ...]] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)


def picture(columns: Sequence[Stage], title: str, scale: Scale, *, subtitle: str = "") -> Picture:
    """Draw the columns of a network from left to right."""
    pen, left, end = _Pen(), 10.0, 0.0
    top = 24.0 + _LINE * bool(subtitle)
    reach = max(_reach(stage, scale) for stage in columns)
    axis, base = top + reach, top + 2 * reach + 4
    pen.texts.append(Text(left, 16, title, 13, bold=True, centred=False))
    pen.texts += [Text(left, 16 + _LINE, subtitle, centred=False)] * bool(subtitle)
    for i, stage in enumerate(columns):
        width = max(_COLUMN, _width(stage) + _GAP)
        centre = left + width / 2
        start = centre - _width(stage) / 2
        if i:
            pen.lines.append(((end, axis), (start, axis)))
        _draw(pen, stage, start, axis, scale)
        _label(pen, stage, centre, base, scale)
        left, end = left + width + _GAP / 2, start + _width(stage)
    width = max(left, 20 + 7.5 * len(title), 20 + 6 * len(subtitle))
    height = base + 3 * _LINE + BAR + 14
    return Picture(width, height, title, tuple(pen.rects), tuple(pen.lines), tuple(pen.texts))


def _label(pen: _Pen, stage: Stage, centre: float, base: float, scale: Scale) -> None:
    lines = (stage.label, times(stage.output_shape), amount(stage.parameters))
    for row, text in enumerate(lines[: 2 if stage.kind == "image" else 3], 1):
        pen.texts.append(Text(centre, base + row * _LINE, text, bold=row == 1))
    if height := stage.parameters * scale.parameter:
        top = base + 3 * _LINE + 6
        note = f"{stage.parameters:,} parameters"
        pen.rects.append(Rect(centre - 12, top, 24, max(height, 0.5), INK, note))


def _size(shape: Shape, scale: Scale) -> tuple[float, float]:
    """Return the width and height in pixels of a map or of features."""
    if len(shape) == 1:
        return 9.0, max(scale.feature * sqrt(shape[0]), 1.0)
    return max(_CHANNEL * sqrt(shape[0]), 2.0), max(shape[1] * scale.side, 2.0)


def _parts(stage: Stage) -> tuple[Shape, ...]:
    """Return the maps that a column is drawn as, one after the other or side by side."""
    after = stage.output_shape
    match stage.unit:
        case Residual():
            return after, after
        case Separable():
            return (stage.input_shape[0], *after[1:]), after
        case Parallel(channels=channels):
            return (channels // 2, *after[1:]), (channels - channels // 2, *after[1:])
        case _:
            return (after,)


_WITHIN = 3.0  # pixels between the parts of a column
_WIRE = 7.0  # pixels for the wires at each end of a skip or of branches


def _width(stage: Stage) -> float:
    widths = [_size(part, Scale(1, 1))[0] for part in _parts(stage)]
    if isinstance(stage.unit, Parallel):
        return max(widths) + 2 * _WIRE
    ends = 2 * _WIRE if isinstance(stage.unit, Residual) else 0.0
    return sum(widths) + _WITHIN * (len(widths) - 1) + ends


def _reach(stage: Stage, scale: Scale) -> float:
    """Return how far a column reaches above the axis."""
    height = _size(stage.output_shape, scale)[1]
    if isinstance(stage.unit, Parallel):
        return height + _WITHIN
    return height / 2 + (14.0 if isinstance(stage.unit, Residual) else 0.0)


def _draw(pen: _Pen, stage: Stage, x: float, axis: float, scale: Scale) -> None:
    if isinstance(stage.unit, Parallel):
        return _draw_branches(pen, stage, x, axis, scale)
    wire = _WIRE if isinstance(stage.unit, Residual) else 0.0
    left = x + wire
    for part in _parts(stage):
        width, height = _size(part, scale)
        pen.rects.append(_block(stage, left, axis - height / 2, (width, height)))
        left += width + _WITHIN
    if wire:
        _draw_skip(pen, stage, (x, left - _WITHIN + wire), axis, axis - height / 2 - 8)


def _block(stage: Stage, x: float, y: float, size: tuple[float, float]) -> Rect:
    return Rect(x, y, *size, COLOURS[stage.kind], note(stage))


def _draw_skip(
    pen: _Pen, stage: Stage, ends: tuple[float, float], axis: float, top: float
) -> None:
    """Draw the skip over a residual unit, with a block on it where it is a 1x1 convolution."""
    left, right = ends[0] + 2, ends[1] - 2
    pen.lines.append(((ends[0], axis), (ends[0] + _WIRE, axis)))
    pen.lines.append(((ends[1] - _WIRE, axis), (ends[1], axis)))
    pen.lines.append(((left, axis), (left, top), (right, top), (right, axis)))
    if stage.input_shape[0] != stage.output_shape[0]:
        block = _block(stage, (left + right) / 2 - 4, top - 4, (8.0, 8.0))
        pen.rects.append(replace(block, note=f"1{TIMES}1 convolution on the skip"))


def _draw_branches(pen: _Pen, stage: Stage, x: float, axis: float, scale: Scale) -> None:
    end = x + _width(stage)
    for part, sign in zip(_parts(stage), (-1, 1), strict=True):
        width, height = _size(part, scale)
        middle = axis + sign * (height + _WITHIN) / 2
        left = (x + end - width) / 2
        pen.rects.append(_block(stage, left, middle - height / 2, (width, height)))
        pen.lines.append(((x, axis), (x + 2, axis), (x + 2, middle), (left, middle)))
        pen.lines.append(((left + width, middle), (end - 2, middle), (end - 2, axis), (end, axis)))
