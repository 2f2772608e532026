"""Plots of architectures as SVG and plotly figures, one network or several. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from optuna_de._text import amount
from optuna_de.cnn.architecture.genomes import parse, render
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.units import Unit
from optuna_de.cnn.drawing.columns import Column, Scale, columns
from optuna_de.cnn.drawing.layout import Picture, picture
from optuna_de.cnn.drawing.render import to_figure, to_svg

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
        ValueError: If the architecture is not understood or does not fit the images.
    """
    return to_svg(_stack(_named(architecture, title), image_shape, classes))


def draw_comparison_svg(
    architectures: Drawables, image_shape: ImageShape = (3, 32, 32), classes: int = 10
) -> str:
    """Draw several networks below each other in one scale as SVG, see :func:`draw_svg`."""
    return to_svg(_stack(_mapping(architectures), image_shape, classes))


def plot_architecture(
    architecture: Drawable,
    image_shape: ImageShape = (3, 32, 32),
    classes: int = 10,
    *,
    title: str | None = None,
) -> go.Figure:
    """Draw a network as a plotly figure, see :func:`draw_svg`."""
    return to_figure(_stack(_named(architecture, title), image_shape, classes))


def plot_comparison(
    architectures: Drawables, image_shape: ImageShape = (3, 32, 32), classes: int = 10
) -> go.Figure:
    """Draw several networks below each other in one scale.

    Args:
        architectures: Genomes or text forms, or a mapping of titles to them; at least one.
        image_shape: ``(channels, height, width)``.
        classes: Number of classes.

    Raises:
        ValueError: If there is none, or one is not understood or does not fit the images.
    """
    return to_figure(_stack(_mapping(architectures), image_shape, classes))


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
    networks = [columns(genome, image_shape, classes) for _, genome in named]
    scale = Scale.of([column for network in networks for column in network])
    rows = [
        picture(network, _cut(title), scale, subtitle=_totals(genome, network, title))
        for (title, genome), network in zip(named, networks, strict=True)
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


def _totals(genome: Sequence[Unit], network: Sequence[Column], title: str) -> str:
    parameters = sum(column.parameters for column in network)
    macs = sum(layer.macs for column in network for layer in column.layers)
    name = "" if title == render(genome) else f"{_cut(render(genome))}, "
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
