"""Parameters and multiply-accumulates of architectures, counted without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from optuna_de.cnn.architecture.expand import check_task, expand
from optuna_de.cnn.architecture.layers import (
    Branches,
    ImageShape,
    Plain,
    Primitive,
    Shape,
    macs_of,
    parameters_of,
    shape_after,
    through,
)
from optuna_de.cnn.architecture.units import Unit, check


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of the layer table.

    Args:
        name: Type and running number from 1, e.g. ``Conv2d-1``.
        unit: Position of the unit it came from, from 0; the head counts as one unit.
        output_shape: Without the batch: ``(channels, height, width)`` or ``(features,)``.
        parameters: Trainable parameters.
        macs: Multiply-accumulate operations for one image; norms, pools and biases count 0.
    """

    name: str
    unit: int
    output_shape: Shape
    parameters: int
    macs: int


def trace(
    genome: Sequence[Unit], image_shape: ImageShape = (3, 32, 32), classes: int = 10
) -> tuple[Layer, ...]:
    """Return the layer table of a network; branches are listed one after the other."""
    layers: list[Layer] = []
    shape: Shape = image_shape
    for unit, stage in enumerate(expand(genome, image_shape, classes)):
        for primitive, before in _flatten(stage, shape):
            layers.append(_layer(primitive, before, unit, len(layers) + 1))
        shape = through(stage, shape)
    return tuple(layers)


def _layer(primitive: Primitive, before: Shape, unit: int, number: int) -> Layer:
    kind = primitive.name if isinstance(primitive, Plain) else type(primitive).__name__
    name = primitive.join if isinstance(primitive, Branches) else kind
    after = shape_after(primitive, before)
    return Layer(
        f"{name}-{number}", unit, after, parameters_of(primitive), macs_of(primitive, after)
    )


def _flatten(stage: Iterable[Primitive], shape: Shape) -> Iterator[tuple[Primitive, Shape]]:
    """Yield each primitive with its input shape, those of branches before their join."""
    for primitive in stage:
        if isinstance(primitive, Branches):
            for branch in primitive.branches:
                yield from _flatten(branch, shape)
        yield primitive, shape
        shape = shape_after(primitive, shape)


def count_parameters(
    genome: Sequence[Unit], image_shape: ImageShape = (3, 32, 32), classes: int = 10
) -> int:
    """Return the number of trainable parameters, without building the network."""
    return _totals(genome, image_shape, classes)[0]


def count_macs(
    genome: Sequence[Unit], image_shape: ImageShape = (3, 32, 32), classes: int = 10
) -> int:
    """Return the multiply-accumulate operations for one image."""
    return _totals(genome, image_shape, classes)[1]


def _totals(genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> tuple[int, int]:
    """Return parameters and operations; what merely equals a network, as 64.0 does, is refused."""
    check_task(image_shape, classes)
    check(genome)
    channels, height, width = image_shape
    return _counted(tuple(genome), (channels, height, width), classes)


@lru_cache(maxsize=4096)
def _counted(genome: tuple[Unit, ...], image_shape: ImageShape, classes: int) -> tuple[int, int]:
    """Count once: caps, prices and screening ask for the same networks."""
    layers = trace(genome, image_shape, classes)
    return sum(layer.parameters for layer in layers), sum(layer.macs for layer in layers)
