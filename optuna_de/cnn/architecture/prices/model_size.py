"""Price: model size, the bytes of the ONNX file of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.layers import (
    BatchNorm2d,
    ChannelNorm,
    Conv2d,
    ImageShape,
    Linear,
    Primitive,
)
from optuna_de.cnn.architecture.prices.price import Price
from optuna_de.cnn.architecture.units import Unit


@dataclass(frozen=True, slots=True)
class FileCost:
    """Bytes of a model's file: of each number, and of the description of each layer.

    Args:
        weight: Of a weight.
        output: Of an output channel; in int8, scale and zero point of its weights.
        bias: Of a bias; in int8, its scale and zero point too.
        norm: Of a channel of a norm that is not folded.
        within: Of the longer names of a layer within branches, and of its bias.
        start: Of the whole graph.
        layers: Of a layer by its name, and of a bias, beside its numbers; others cost nothing.
    """

    weight: int
    output: int
    bias: int
    norm: int
    within: tuple[int, int]
    start: int
    layers: Mapping[str, int]


FLOAT32 = FileCost(
    *(4, 0, 4, 8, (42, 7), 1034),
    {
        **{"Conv2d": 339, "bias": 75, "Linear": 227, "ChannelNorm": 511, "ChannelScale": 150},
        **{"ReLU": 56, "SiLU": 143, "GELU": 98, "Hardswish": 103, "Hardsigmoid": 90},
        **{"Add": 81, "Multiply": 94, "Concat": 94, "ChannelSplit": 64, "share": 143},
        **{"MaxPool2d": 189, "AvgPool2d": 158, "BoxFilter": 161},
        **{"GlobalAvgPool2d": 80, "GlobalMaxPool2d": 99},
    },
)
INT8 = FileCost(
    *(1, 5, 12, 5, (123, 121), 984),
    {
        **{"Conv2d": 1108, "bias": 365, "Linear": 1011, "ChannelNorm": 1891, "ChannelScale": 700},
        **{"SiLU": 822, "GELU": 405, "Hardswish": 942, "Hardsigmoid": 430},
        **{"Add": 420, "Multiply": 397, "Concat": 502, "share": 385},
        **{"MaxPool2d": 507, "AvgPool2d": 480, "BoxFilter": 469},
        **{"GlobalAvgPool2d": 535, "GlobalMaxPool2d": 363},
    },
)
"""Fitted to files of small random networks; ``benchmarks/devices`` judges them on others."""


def count_file_bytes(
    cost: FileCost, genome: Sequence[Unit], image_shape: ImageShape, classes: int
) -> int:
    """Return the bytes of the ONNX file that ``optuna-de export`` writes, within about 2 %.

    Norms behind convolutions are folded into their weights and biases. The names of the classes
    are not counted.

    Raises:
        ValueError: If the genome does not fit the images.
    """
    layers = [layer for unit in expand(genome, image_shape, classes) for layer in unit]
    return cost.start + _path_bytes(cost, layers, 0)


def _path_bytes(cost: FileCost, layers: Sequence[Primitive], depth: int) -> int:
    """Return the bytes of layers one behind the other, within so many branches."""
    total = 0
    for layer, after in zip_longest(layers, layers[1:]):
        total += cost.layers.get("Conv2d" if isinstance(layer, Conv2d) else layer.name, 0)
        total += _numbers(cost, layer, isinstance(after, BatchNorm2d), depth)
        total += sum(_path_bytes(cost, path, depth + 1) for path in layer.paths)
        if layer.name == "ChannelSplit":
            total += cost.layers["share"] * len(layer.paths)
    return total


def _numbers(cost: FileCost, layer: Primitive, folds: bool, depth: int) -> int:
    """Return the bytes of a layer's numbers and their names; it may fold a norm behind it."""
    names, bias_names = (depth * each for each in cost.within)
    if isinstance(layer, Conv2d | Linear):
        bias = cost.bias * layer.outputs + bias_names + cost.layers["bias"]
        biased = isinstance(layer, Linear) or layer.bias or folds
        return cost.weight * layer.weights + cost.output * layer.outputs + names + bias * biased
    if isinstance(layer, ChannelNorm):
        return cost.norm * layer.channels + names + bias_names
    if isinstance(layer, BatchNorm2d) or layer.paths or not layer.parameters:
        return 0
    return cost.weight * layer.parameters + names


def _kibibytes(cost: FileCost, genome: Sequence[Unit], shape: ImageShape, classes: int) -> float:
    return count_file_bytes(cost, genome, shape, classes) / 1024


MODEL_SIZE = Price("model-size", "KiB", partial(_kibibytes, INT8), spec=",.1f")
"""Size of the int8 ONNX file."""
MODEL_SIZE_FLOAT32 = Price("model-size-float32", "KiB", partial(_kibibytes, FLOAT32), spec=",.1f")
"""Size of the float32 ONNX file."""
