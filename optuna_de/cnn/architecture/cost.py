"""Cost of a network: layer table, parameters and multiply-accumulates, without building it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from optuna_de.cnn.architecture.expand import check_task, expand
from optuna_de.cnn.architecture.layers import ImageShape, Primitive, Shape, flatten, through
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
    """Return the layer table of a network; branches are listed one after the other.

    Raises:
        ValueError: If the genome does not fit the images, as ``expand`` says.
    """
    rows: list[Layer] = []
    shape: Shape = image_shape
    for unit, layers in enumerate(expand(genome, image_shape, classes)):
        for primitive, before in flatten(layers, shape):
            rows.append(_row(primitive, before, unit, len(rows) + 1))
        shape = through(layers, shape)
    return tuple(rows)


def _row(primitive: Primitive, before: Shape, unit: int, number: int) -> Layer:
    after = primitive.shape_after(before)
    name = f"{primitive.name}-{number}"
    return Layer(name, unit, after, primitive.parameters, primitive.macs(after))


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
    """Return parameters and operations, after the checks: 64.0 equals 64 in the cache."""
    check_task(image_shape, classes)
    check(genome)
    channels, height, width = image_shape
    return _counted(tuple(genome), (channels, height, width), classes)


@lru_cache(maxsize=4096)
def _counted(genome: tuple[Unit, ...], image_shape: ImageShape, classes: int) -> tuple[int, int]:
    """Count once: limits, prices and screening ask for the same networks."""
    rows = trace(genome, image_shape, classes)
    return sum(row.parameters for row in rows), sum(row.macs for row in rows)
