"""Price: model size, the bytes of the ONNX file of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.layers import (
    BatchNorm2d,
    Conv2d,
    ImageShape,
    Linear,
    Primitive,
    flatten,
    through,
)
from optuna_de.cnn.architecture.prices.price import Price
from optuna_de.cnn.architecture.units import Unit


@dataclass(frozen=True, slots=True)
class FileCost:
    """Bytes of a model's file: of each number, and of the description of each layer.

    Args:
        weight: Of a weight.
        output: Of an output channel: bias and, in int8, the weights' scale and zero point.
        other: Of any other parameter.
        start: Of the whole graph.
        layers: Of a layer by its name, beside its numbers; others cost nothing.
    """

    weight: int
    output: int
    other: int
    start: int
    layers: Mapping[str, int]


FLOAT32 = FileCost(
    *(4, 4, 4, 1700),
    {
        **{"Conv2d": 230, "ReLU": 380, "Hardswish": 420, "Hardsigmoid": 420},
        **{"GELU": 5100, "Add": 1160, "Concat": 900},
    },
)
INT8 = FileCost(
    *(1, 9, 4, 5400),
    {
        **{"ReLU": 940, "Hardswish": 1380, "Hardsigmoid": 1380, "ChannelScale": 3300},
        **{"GELU": 15_850, "Add": 2020, "Concat": 2110},
    },
)
"""Fitted to files of 70 random networks; ``benchmarks/devices`` judges them on others."""


def count_file_bytes(
    cost: FileCost, genome: Sequence[Unit], image_shape: ImageShape, classes: int
) -> int:
    """Return the bytes of the ONNX file that ``optuna-de export`` writes, within about 5 %.

    Norms behind convolutions are folded into their weights and biases. The names of the classes
    are not counted.

    Raises:
        ValueError: If the genome does not fit the images.
    """
    total, shape = cost.start, tuple(image_shape)
    for layers in expand(genome, image_shape, classes):
        total += sum(_bytes(cost, layer) for layer, _ in flatten(layers, shape))
        shape = through(layers, shape)
    return total


def _bytes(cost: FileCost, layer: Primitive) -> int:
    described = cost.layers.get("Conv2d" if isinstance(layer, Conv2d) else layer.name, 0)
    if isinstance(layer, Conv2d | Linear):
        return described + layer.weights * cost.weight + layer.outputs * cost.output
    folded = isinstance(layer, BatchNorm2d)
    return described + (0 if folded else layer.parameters * cost.other)


def _kibibytes(cost: FileCost, genome: Sequence[Unit], shape: ImageShape, classes: int) -> float:
    return count_file_bytes(cost, genome, shape, classes) / 1024


MODEL_SIZE = Price("model-size", "KiB", partial(_kibibytes, INT8), spec=",.1f")
"""Size of the int8 ONNX file."""
MODEL_SIZE_FLOAT32 = Price("model-size-float32", "KiB", partial(_kibibytes, FLOAT32), spec=",.1f")
"""Size of the float32 ONNX file."""
