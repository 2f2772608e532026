"""From units to primitive layers, and what those cost: analytic, no torch.

:func:`expand` derives all layers of a network; :func:`trace` adds shapes, parameters and MACs, as
in the report's figures 8 and 10. :mod:`optuna_de.cnn.model` builds the same layers in torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from optuna_de.cnn.primitives import (
    RELU,
    Branches,
    Conv2d,
    ImageShape,
    Linear,
    Plain,
    Primitive,
    Shape,
    macs_of,
    normed,
    parameters_of,
    shape_after,
    through,
)
from optuna_de.cnn.units import (
    FC,
    GAP,
    AvgPool,
    Conv,
    DownConv,
    MaxPool,
    NormConv,
    Parallel,
    Residual,
    Separable,
    Unit,
    check,
    render,
    repair,
    split_head,
)


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


def expand(
    genome: Sequence[Unit], image_shape: ImageShape, classes: int
) -> tuple[tuple[Primitive, ...], ...]:
    """Return the primitive layers of each body unit, then those of the head.

    Without head units the seed's Part 2 is derived: with f features, ``FC(max(10, f // 2))`` and
    ``FC(max(10, f // 4))``.

    Raises:
        ValueError: Where the genome, the shape or the classes fit no network, or a pool takes
            the smaller side below 2.
    """
    _check_task(image_shape, classes)
    check(genome)
    if repair(genome, image_shape) != tuple(genome):
        raise ValueError(
            f"{render(genome)} has more pools than images of {image_shape[1]}x{image_shape[2]} "
            "allow; no side may fall below 2."
        )
    body, head = split_head(genome)
    shape: Shape = image_shape
    stages = []
    for unit in body:
        stages.append(tuple(_expand_unit(unit, shape[0])))
        shape = through(stages[-1], shape)
    return (*stages, tuple(_expand_head(head, shape, classes)))


def _check_task(image_shape: ImageShape, classes: int) -> None:
    sizes = (*image_shape, classes)
    if len(sizes) != 4 or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(
            f"Images of shape {image_shape} in {classes} classes fit no network; (channels, "
            "height, width) and the number of classes must be positive integers."
        )


def _expand_unit(unit: Unit, inputs: int) -> Iterator[Primitive]:
    match unit:
        case Conv(channels, kernel):
            yield from (Conv2d(inputs, channels, kernel, bias=True), RELU)
        case MaxPool():
            yield Plain("MaxPool2d")
        case AvgPool():
            yield Plain("AvgPool2d")
        case NormConv(channels, kernel):
            yield from (*normed(inputs, channels, kernel), RELU)
        case DownConv(channels, kernel):
            yield from (*normed(inputs, channels, kernel, stride=2), RELU)
        case Residual(channels, kernel):
            first = normed(inputs, channels, kernel)
            main = (*first, RELU, *normed(channels, channels, kernel))
            skip = () if inputs == channels else normed(inputs, channels, 1)
            yield from (Branches("Add", (main, skip)), RELU)
        case Separable(channels, kernel):
            yield from (*normed(inputs, inputs, kernel, groups=inputs), RELU)
            yield from (*normed(inputs, channels, 1), RELU)
        case Parallel(channels, kernel):
            half = channels // 2
            wide = normed(inputs, channels - half, kernel)
            yield from (Branches("Concat", (normed(inputs, half, 1), wide)), RELU)
        case _:
            raise ValueError(f"{unit!r} is a unit of the head.")


def _expand_head(head: Sequence[Unit], shape: Shape, classes: int) -> Iterator[Primitive]:
    features = shape[0] if GAP() in head else prod(shape)
    if GAP() in head:
        yield Plain("GlobalAvgPool2d")
    yield Plain("Flatten")
    derived = (FC(max(10, features // 2)), FC(max(10, features // 4)))
    for unit in head or derived:
        if isinstance(unit, FC):
            yield from (Plain("Dropout"), Linear(features, unit.width), RELU)
            features = unit.width
    yield Linear(features, classes)


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
    _check_task(image_shape, classes)
    check(genome)
    channels, height, width = image_shape
    return _counted(tuple(genome), (channels, height, width), classes)


@lru_cache(maxsize=4096)
def _counted(genome: tuple[Unit, ...], image_shape: ImageShape, classes: int) -> tuple[int, int]:
    """Count once: caps, prices and screening ask for the same networks."""
    layers = trace(genome, image_shape, classes)
    return sum(layer.parameters for layer in layers), sum(layer.macs for layer in layers)
