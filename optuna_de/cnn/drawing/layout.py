"""Layout of a network's picture: rectangles, lines and texts, to scale. No SVG, no plotly.

Coordinates are pixels, y points down. A map is as high as its side and as wide as the square root
of its channels; a layer of features is as high as the square root of their number. Bars below
are the layers' parameters, linear. The layers alone decide the shape of a unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import TypeAlias

from optuna_de._colours import INK
from optuna_de._text import TIMES, amount, times
from optuna_de.cnn.architecture.layers import (
    Branches,
    Conv2d,
    Linear,
    Plain,
    Primitive,
    Primitives,
    Shape,
    flatten,
)
from optuna_de.cnn.drawing.columns import BAR, Column, Scale, note

Line: TypeAlias = tuple[tuple[float, float], ...]
_CHANNEL = 2.2  # pixels per root of a channel
_COLUMN, _GAP, _LINE = 60.0, 14.0, 14.0


@dataclass(frozen=True, slots=True)
class Rect:
    """Rectangle of a layout; ``note`` is shown when the pointer is on it."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """Text line of a layout, its baseline at ``y``."""

    x: float
    y: float
    text: str
    size: int = 11
    bold: bool = False
    centred: bool = True


@dataclass(frozen=True, slots=True)
class Picture:
    """Layout of a picture: rectangles, lines and texts.

    ``width`` and ``height`` are pixels; a line is a sequence of points ``(x, y)``.
    """

    width: float
    height: float
    title: str
    rects: tuple[Rect, ...] = ()
    lines: tuple[Line, ...] = ()
    texts: tuple[Text, ...] = ()


_WITHIN = 3.0  # pixels between the parts of a column
_WIRE = 7.0  # pixels for the wires at each end of a skip or of branches
_LIFT, _SMALL = 14.0, 8.0  # pixels that a skip adds above a path, and side of a block on it


@dataclass(frozen=True, slots=True)
class _Box:
    """Layers as drawn: from x = 0 to ``width`` with the axis, which data follow, at y = 0.

    ``reach`` is the height above the axis, and below.
    """

    width: float = 0.0
    reach: float = 0.0
    rects: tuple[Rect, ...] = ()
    lines: tuple[Line, ...] = ()

    def moved(self, x: float, y: float = 0.0) -> _Box:
        """Return it with its contents shifted."""
        rects = tuple(replace(rect, x=rect.x + x, y=rect.y + y) for rect in self.rects)
        lines = tuple(tuple((a + x, b + y) for a, b in line) for line in self.lines)
        return _Box(self.width, self.reach, rects, lines)

    def joined(self, other: _Box) -> _Box:
        """Return the contents of both, with this one's size."""
        rects, lines = self.rects + other.rects, self.lines + other.lines
        return _Box(self.width, self.reach, rects, lines)


@dataclass(frozen=True, slots=True)
class _Style:
    """Colour and note of a column's blocks, and the scale."""

    colour: str
    note: str
    scale: Scale


def picture(columns: Sequence[Column], title: str, scale: Scale, *, subtitle: str = "") -> Picture:
    """Lay out a network's picture to scale, its columns from left to right."""
    boxes = [_column_box(column, scale) for column in columns]
    left, end, drawn = 10.0, 0.0, _Box()
    top = 24.0 + _LINE * bool(subtitle)
    reach = max(box.reach for box in boxes)
    axis, base = top + reach, top + 2 * reach + 4
    texts = [Text(left, 16, title, 13, bold=True, centred=False)]
    texts += [Text(left, 16 + _LINE, subtitle, centred=False)] * bool(subtitle)
    for i, (column, box) in enumerate(zip(columns, boxes, strict=True)):
        width = max(_COLUMN, box.width + _GAP)
        centre = left + width / 2
        start = centre - box.width / 2
        wire = _Box(lines=(((end, axis), (start, axis)),) * bool(i))
        drawn = (
            drawn.joined(wire)
            .joined(box.moved(start, axis))
            .joined(_bar(column, centre, base, scale))
        )
        texts += _labels(column, centre, base)
        left, end = left + width + _GAP / 2, start + box.width
    width = max(left, 20 + 7.5 * len(title), 20 + 6 * len(subtitle))
    height = base + 3 * _LINE + BAR + 14
    return Picture(width, height, title, drawn.rects, drawn.lines, tuple(texts))


def _labels(column: Column, centre: float, base: float) -> list[Text]:
    lines = (column.label, times(column.output_shape), amount(column.parameters))
    shown = lines[: 2 if column.is_image else 3]
    return [Text(centre, base + i * _LINE, t, bold=i == 1) for i, t in enumerate(shown, 1)]


def _bar(column: Column, centre: float, base: float, scale: Scale) -> _Box:
    if not (height := column.parameters * scale.parameter):
        return _Box()
    text = f"{column.parameters:,} parameters"
    top = base + 3 * _LINE + 6
    return _Box(rects=(Rect(centre - 12, top, 24, max(height, 0.5), INK, text),))


def _column_box(column: Column, scale: Scale) -> _Box:
    style = _Style(column.colour, note(column), scale)
    if column.is_image:
        return _block(column.output_shape, style)
    return _row(column.primitives, column.input_shape, style)


def _size(shape: Shape, scale: Scale) -> tuple[float, float]:
    """Return the width and height in pixels of a map or of features."""
    if len(shape) == 1:
        return 9.0, max(scale.feature * sqrt(shape[0]), 1.0)
    return max(_CHANNEL * sqrt(shape[0]), 2.0), max(shape[1] * scale.side, 2.0)


def _block(shape: Shape, style: _Style) -> _Box:
    width, height = _size(shape, style.scale)
    rect = Rect(0, -height / 2, width, height, style.colour, style.note)
    return _Box(width, height / 2, (rect,))


def _row(primitives: Primitives, shape: Shape, style: _Style) -> _Box:
    """Draw layers that follow each other; those that leave maps as they are, norms, are not."""
    boxes = []
    for primitive in primitives:
        if isinstance(primitive, Branches):
            boxes.append(_branches(primitive, shape, style))
        elif _makes_a_map(primitive):
            boxes.append(_block(primitive.shape_after(shape), style))
        shape = primitive.shape_after(shape)
    return _side_by_side(boxes, _WITHIN)


def _makes_a_map(primitive: Primitive) -> bool:
    pools = isinstance(primitive, Plain) and primitive.name.endswith("Pool2d")
    return pools or isinstance(primitive, Conv2d | Linear)


def _side_by_side(boxes: Sequence[_Box], gap: float) -> _Box:
    width = sum(box.width for box in boxes) + gap * max(len(boxes) - 1, 0)
    row, left = _Box(width, max((box.reach for box in boxes), default=0.0)), 0.0
    for box in boxes:
        wire = _Box(lines=(((left - gap, 0.0), (left, 0.0)),) * bool(left))
        row = row.joined(wire).joined(box.moved(left))
        left += box.width + gap
    return row


def _branches(branches: Branches, shape: Shape, style: _Style) -> _Box:
    """Draw paths: shares next to each other, concatenated ones stacked, others over the first."""
    inputs = branches.inputs(shape)
    paths = zip(branches.paths, inputs, strict=True)
    match branches.join:
        case "ChannelSplit":
            return _side_by_side(
                [_row(p, s, style) if p else _block(s, style) for p, s in paths], 1
            )
        case "Concat":
            return _stacked([_row(path, s, style) for path, s in paths])
        case _:
            return _bridged(branches, shape, style)


def _stacked(boxes: Sequence[_Box]) -> _Box:
    """Draw boxes below each other, each with a wire from the axis and back.

    With heights ``2 r_i`` and gaps g, the first begins at ``-(sum(2 r_i) + g (n - 1)) / 2``.
    """
    width = max(box.width for box in boxes) + 2 * _WIRE
    total = sum(2 * box.reach + _WITHIN for box in boxes)
    stack, top = _Box(width, total / 2), (_WITHIN - total) / 2
    for box in boxes:
        middle, left = top + box.reach, (width - box.width) / 2
        right = left + box.width
        wires = (
            ((0.0, 0.0), (2.0, 0.0), (2.0, middle), (left, middle)),
            ((right, middle), (width - 2, middle), (width - 2, 0.0), (width, 0.0)),
        )
        stack = stack.joined(box.moved(left, middle)).joined(_Box(lines=wires))
        top += 2 * box.reach + _WITHIN
    return stack


def _bridged(branches: Branches, shape: Shape, style: _Style) -> _Box:
    """Draw the first path on the axis and the others as wires over it, with blocks if they have
    convolutions."""
    main = _row(branches.paths[0], shape, style)
    least = _SMALL + 4 if not main.width else main.width
    right = least + 2 * _WIRE
    top = -main.reach - 8
    wires: list[Line] = [
        ((0.0, 0.0), (_WIRE, 0.0)),
        ((right - _WIRE, 0.0), (right, 0.0)),
        ((2.0, 0.0), (2.0, top), (right - 2, top), (right - 2, 0.0)),
    ]
    if not main.width:
        wires.append(((_WIRE, 0.0), (right - _WIRE, 0.0)))
    notes = [text for path in branches.paths[1:] if (text := _path_note(branches, path, shape))]
    middle, low = right / 2 - _SMALL / 2, top - _SMALL / 2
    blocks = tuple(Rect(middle, low, _SMALL, _SMALL, style.colour, text) for text in notes)
    bridge = _Box(right, main.reach + _LIFT, main.moved(_WIRE).rects, main.moved(_WIRE).lines)
    return bridge.joined(_Box(rects=blocks, lines=tuple(wires)))


def _path_note(branches: Branches, path: Primitives, shape: Shape) -> str:
    """Return the convolutions of a path in words, empty for none."""
    convolutions = [p for p, _ in flatten(path, shape) if isinstance(p, Conv2d)]
    words = [f"{p.kernel}{TIMES}{p.kernel} convolution" for p in convolutions]
    place = "skip" if branches.join == "Add" else "gate"
    return f"{' and '.join(words)} on the {place}" if words else ""
