"""Columns of a network's picture: its units, each with its layers, shapes and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from optuna_de._text import times
from optuna_de.cnn.architecture.cost import Layer, trace
from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.genomes import render, split_head
from optuna_de.cnn.architecture.layers import (
    ACTIVATIONS,
    ImageShape,
    Linear,
    Primitives,
    Shape,
    flatten,
)
from optuna_de.cnn.architecture.units import FC, Unit

SIDE, BAR = 96.0, 36.0  # pixels: height of the image, and of the longest bar
_FEATURE = 1.5  # pixels per root of a feature, at most
_IMAGE_COLOUR = "#BBBBBB"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the picture: the image, a unit of the body, or a part of the head.

    Args:
        label: Text form of the unit, ``image`` or ``classes``.
        colour: Of its blocks.
        input_shape: Shape that enters it.
        output_shape: Shape that leaves it.
        layers: Its rows of the layer table.
        primitives: Its layers; none for the image.
    """

    label: str
    colour: str
    input_shape: Shape
    output_shape: Shape
    layers: tuple[Layer, ...] = ()
    primitives: Primitives = ()

    @property
    def is_image(self) -> bool:
        """Whether it is the input."""
        return not self.primitives

    @property
    def parameters(self) -> int:
        """Trainable parameters of the column."""
        return sum(layer.parameters for layer in self.layers)


def columns(genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> tuple[Column, ...]:
    """Return the columns of a network's picture, the image first and the classifier last.

    Raises:
        ValueError: If the genome does not fit the images, as ``expand`` says.
    """
    rows = iter(trace(genome, image_shape, classes))
    *body, last = expand(genome, image_shape, classes)
    drawn = [Column("image", _IMAGE_COLOUR, image_shape, image_shape)]
    parts = [
        *(
            (render([unit]), unit.colour, layers)
            for unit, layers in zip(genome, body, strict=False)
        ),
        *_head_parts(split_head(genome)[1], last),
    ]
    for label, colour, primitives in parts:
        before = drawn[-1].output_shape
        own = tuple(next(rows) for _ in flatten(primitives, before))
        if not own:  # a switch
            continue
        drawn.append(Column(label, colour, before, own[-1].output_shape, own, primitives))
    return tuple(drawn)


def _head_parts(
    head: Sequence[Unit], primitives: Primitives
) -> Iterator[tuple[str, str, Primitives]]:
    """Yield label, colour and layers; a part ends with a global pool, a ReLU or the classifier."""
    pools = [unit for unit in head if not isinstance(unit, FC)]
    ends = [i for i, p in enumerate(primitives, 1) if p.name.startswith(("Global", *ACTIVATIONS))]
    for start, end in pairwise([0, *ends, len(primitives)]):
        part = primitives[start:end]
        linear = next((p for p in part if isinstance(p, Linear)), None)
        label = f"FC{linear.outputs}" if linear else render(pools)
        name = "classes" if end == len(primitives) else label
        yield name, FC.colour if linear else pools[0].colour, part


def note(column: Column) -> str:
    """Return the text that a column shows when it is pointed at, one layer per line."""
    rows = (
        f"{layer.name}: {times(layer.output_shape)}"
        + (f", {layer.parameters:,} parameters, {layer.macs:,} MACs" if layer.parameters else "")
        for layer in column.layers
    )
    return "\n".join([f"{column.label}: {times(column.output_shape)}", *rows])


@dataclass(frozen=True, slots=True)
class Scale:
    """Scale of columns: pixels per side of a map, per parameter, per root of a feature.

    The pictures of a comparison share it.
    """

    side: float
    parameter: float
    feature: float = _FEATURE

    @classmethod
    def of(cls, drawn: Sequence[Column]) -> Scale:
        """Return the scale that fits all of these columns."""
        sides = (max(c.output_shape[1:]) for c in drawn if c.is_image)
        most = max(c.parameters for c in drawn)
        widest = max(c.output_shape[0] for c in drawn if len(c.output_shape) == 1)
        feature = min(_FEATURE, SIDE / sqrt(widest))
        return cls(SIDE / max(sides), BAR / max(most, 1), feature)
