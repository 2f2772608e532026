"""Cost of a network: layer table, parameters and multiply-accumulates, without building it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from optuna_de.cnn.architecture.expand import check_network, expand, expand_head
from optuna_de.cnn.architecture.genomes import Genome, split_head
from optuna_de.cnn.architecture.layers import (
    ImageShape,
    Primitive,
    Primitives,
    Shape,
    flatten,
    through,
)
from optuna_de.cnn.architecture.units import Unit


@dataclass(frozen=True, slots=True)
class Layer:
    """Cost of a layer: one row of the layer table.

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
    """Return the number of trainable parameters, without building the network.

    Example:
        >>> count_parameters(parse("B8k3-MP-B16k3-GAP"), image_shape=(1, 8, 8), classes=10)
        1442
    """
    return _totals(genome, image_shape, classes)[0]


def count_macs(
    genome: Sequence[Unit], image_shape: ImageShape = (3, 32, 32), classes: int = 10
) -> int:
    """Return the multiply-accumulate operations for one image.

    Example:
        >>> count_macs(parse("B8k3-MP-B16k3-GAP"), image_shape=(1, 8, 8), classes=10)
        23200
    """
    return _totals(genome, image_shape, classes)[1]


def _totals(genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> tuple[int, int]:
    """Return parameters and operations, after the checks: in the caches, 64.0 equals 64.

    Children share most units with their parents, so the cost of each unit is cached.
    """
    check_network(genome, image_shape, classes)
    body, head = split_head(genome)
    shape: Shape = tuple(image_shape)
    parameters = macs = 0
    for unit in body:
        more_parameters, more_macs, shape = _unit_cost(unit, shape)
        parameters, macs = parameters + more_parameters, macs + more_macs
    head_parameters, head_macs = _head_cost(head, shape, classes)
    return parameters + head_parameters, macs + head_macs


@lru_cache(maxsize=65536)
def _unit_cost(unit: Unit, shape: Shape) -> tuple[int, int, Shape]:
    """Return parameters, operations and output shape of a body unit with this input."""
    layers = unit.layers(shape[0])
    return *_cost(layers, shape), through(layers, shape)


@lru_cache(maxsize=4096)
def _head_cost(head: Genome, shape: Shape, classes: int) -> tuple[int, int]:
    return _cost(expand_head(head, shape, classes), shape)


def _cost(layers: Primitives, shape: Shape) -> tuple[int, int]:
    flat = list(flatten(layers, shape))
    return (
        sum(primitive.parameters for primitive, _ in flat),
        sum(primitive.macs(primitive.shape_after(before)) for primitive, before in flat),
    )
