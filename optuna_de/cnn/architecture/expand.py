"""Expansion of units into primitive layers. No torch.

:func:`expand` derives all layers of a network; :mod:`optuna_de.cnn.architecture.cost` counts
them and :mod:`optuna_de.cnn.modules.build` builds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from optuna_de.cnn.architecture.genomes import check, render, repair, split_head
from optuna_de.cnn.architecture.layers import (
    BatchNorm2d,
    ChannelNorm,
    ImageShape,
    Linear,
    Plain,
    Primitives,
    Shape,
    restyled,
    through,
)
from optuna_de.cnn.architecture.units import FC, Unit


def expand(
    genome: Sequence[Unit], image_shape: ImageShape, classes: int
) -> tuple[Primitives, ...]:
    """Return the primitive layers of each body unit, then those of the head.

    Without head units the seed's Part 2 is derived: with f features, ``FC(max(10, f // 2))`` and
    ``FC(max(10, f // 4))``.

    Raises:
        ValueError: If the genome, the shape or the classes fit no network, or a pool takes the
            smaller side below 2.
    """
    check_network(genome, image_shape, classes)
    body, head = split_head(genome)
    shape: Shape = image_shape
    units: list[Primitives] = []
    activation: str | None = None
    norm: type[BatchNorm2d] | type[ChannelNorm] | None = None
    for unit in body:
        activation, norm = unit.activation or activation, unit.norm or norm
        units.append(restyled(unit.layers(shape[0]), activation, norm))
        shape = through(units[-1], shape)
    return (*units, restyled(expand_head(head, shape, classes), activation, norm))


def check_network(genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> None:
    """Check that units expand into a network for these images, see :func:`expand`.

    Raises:
        ValueError: If genome, image shape and classes fit no network.
    """
    check_task(image_shape, classes)
    check(genome)
    if repair(genome, image_shape) != tuple(genome):
        raise ValueError(
            f"{render(genome)} has more pools than images of {image_shape[1]}x{image_shape[2]} "
            "allow; no side may fall below 2."
        )


def check_task(image_shape: ImageShape, classes: int) -> None:
    """Check image shape and classes before units expand.

    Raises:
        ValueError: If one of them is impossible.
    """
    sizes = (*image_shape, classes)
    if len(sizes) != 4 or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(
            f"Images of shape {image_shape} in {classes} classes fit no network; (channels, "
            "height, width) and the number of classes must be positive integers."
        )


def expand_head(head: Sequence[Unit], shape: Shape, classes: int) -> Primitives:
    """Return the layers of a head, or of the derived one, behind a body of output ``shape``."""
    pools = [unit for unit in head if not isinstance(unit, FC)]
    layers = [*(layer for pool in pools for layer in pool.layers(shape[0])), Plain("Flatten")]
    features = prod(through(layers, shape))
    derived = (FC(max(10, features // 2)), FC(max(10, features // 4)))
    for unit in head or derived:
        if isinstance(unit, FC):
            layers += unit.layers(features)
            features = unit.width
    return (*layers, Linear(features, classes))
