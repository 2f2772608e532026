"""Primitive layers: what a unit is made of, and shape, parameters and MACs of each. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias

Shape: TypeAlias = tuple[int, ...]
ImageShape: TypeAlias = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True, slots=True)
class Conv2d:
    """Convolution with padding ``kernel // 2``."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1
    bias: bool = False


@dataclass(frozen=True, slots=True)
class BatchNorm2d:
    """Batch normalisation with scale and shift."""

    channels: int


@dataclass(frozen=True, slots=True)
class Linear:
    """Fully connected layer with bias."""

    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class Plain:
    """A layer without parameters."""

    name: Literal["ReLU", "MaxPool2d", "AvgPool2d", "GlobalAvgPool2d", "Flatten", "Dropout"]


@dataclass(frozen=True, slots=True)
class Branches:
    """Layers side by side on one input; outputs are added, or concatenated by channel."""

    join: Literal["Add", "Concat"]
    branches: tuple[tuple[Primitive, ...], ...]


Primitive: TypeAlias = "Conv2d | BatchNorm2d | Linear | Plain | Branches"
RELU = Plain("ReLU")


def normed(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> tuple[Primitive, ...]:
    """Return a convolution without bias and the norm behind it."""
    return Conv2d(inputs, outputs, kernel, stride, groups), BatchNorm2d(outputs)


def through(stage: Iterable[Primitive], shape: Shape) -> Shape:
    """Return the shape behind primitives that follow each other."""
    for primitive in stage:
        shape = shape_after(primitive, shape)
    return shape


def shape_after(primitive: Primitive, shape: Shape) -> Shape:
    """Return the shape of one image behind a primitive, without the batch."""
    match primitive:
        case Conv2d(outputs=outputs, stride=stride):
            return outputs, *((side - 1) // stride + 1 for side in shape[1:])
        case Linear(outputs=outputs):
            return (outputs,)
        case Plain("MaxPool2d" | "AvgPool2d"):
            return shape[0], *(side // 2 for side in shape[1:])
        case Plain("GlobalAvgPool2d"):
            return shape[0], 1, 1
        case Plain("Flatten"):
            return (prod(shape),)
        case Branches("Concat", branches):
            ends = [through(branch, shape) for branch in branches]
            return sum(end[0] for end in ends), *ends[0][1:]
        case Branches("Add", branches):
            return through(branches[0], shape)
        case _:
            return shape


def parameters_of(primitive: Primitive) -> int:
    """Return a primitive's trainable parameters, 0 for branches: their parts count."""
    match primitive:
        case Conv2d(inputs, outputs, kernel, _, groups, bias):
            return outputs * (inputs // groups * kernel * kernel + bias)
        case BatchNorm2d(channels):
            return 2 * channels
        case Linear(inputs, outputs):
            return outputs * (inputs + 1)
        case _:
            return 0


def macs_of(primitive: Primitive, after: Shape) -> int:
    """Return a primitive's multiply-accumulates for one image, given its output shape."""
    match primitive:
        case Conv2d(inputs=inputs, kernel=kernel, groups=groups):
            return prod(after) * (inputs // groups) * kernel * kernel
        case Linear(inputs, outputs):
            return inputs * outputs
        case _:
            return 0
