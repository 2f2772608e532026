"""From units to primitive layers, and what those cost: analytic, no torch.

:func:`expand` derives all layers of a network; :func:`trace` adds shapes, parameters and MACs, as
in the report's figures 8 and 10. :mod:`optuna_de.cnn.modules.build` builds the same layers in
torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from optuna_de.cnn.architecture.layers import (
    RELU,
    Branches,
    Conv2d,
    ImageShape,
    Linear,
    Plain,
    Primitive,
    Shape,
    normed,
    through,
)
from optuna_de.cnn.architecture.units import (
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
    check_task(image_shape, classes)
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


def check_task(image_shape: ImageShape, classes: int) -> None:
    """Raise ValueError where an image shape or a number of classes is impossible."""
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
