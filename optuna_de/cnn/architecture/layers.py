"""Primitive layers, of which units are made: shape, parameters and MACs of each. No torch.

Each is one row here: its shape, parameters, MACs and constructor. A module that torch lacks also
stands in :mod:`optuna_de.cnn.modules.custom_layers`. Counts, builder, exports and drawings work on
primitives alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias

Shape: TypeAlias = tuple[int, ...]
ImageShape: TypeAlias = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True, slots=True)
class Call:
    """Constructor of a primitive layer: torch class and arguments.

    The class is one of ``torch.nn`` or of ``modules.custom_layers``. Only arguments that differ
    from the class's defaults are listed.
    """

    module: str
    arguments: tuple[int | float, ...] = ()
    options: tuple[tuple[str, int | bool], ...] = ()

    def __str__(self) -> str:
        given = [*map(repr, self.arguments), *(f"{name}={value}" for name, value in self.options)]
        return f"{self.module}({', '.join(given)})"


class Primitive:
    """Primitive layer: shape, parameters and MACs for one image.

    The defaults are those of a layer that keeps the shape and has no parameters.
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        """Type in the layer table."""
        return type(self).__name__

    @property
    def call(self) -> Call:
        """Constructor of the torch module; branches are built from their ``paths``."""
        return Call(self.name)

    @property
    def paths(self) -> tuple[Primitives, ...]:
        """Primitives inside this one, side by side."""
        return ()

    @property
    def parameters(self) -> int:
        """Trainable parameters, those of the paths left out."""
        return 0

    def shape_after(self, shape: Shape) -> Shape:
        """Return the output shape for an input shape."""
        return shape

    def macs(self, after: Shape) -> int:
        """Return the multiply-accumulates for one image, given the output shape."""
        return 0


Primitives: TypeAlias = tuple[Primitive, ...]


@dataclass(frozen=True, slots=True)
class Conv2d(Primitive):
    """Primitive layer: convolution.

    The padding is ``dilation * (kernel // 2)`` where none is given, which keeps the sides at
    stride 1 for an odd kernel.
    """

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1
    dilation: int = 1
    bias: bool = False
    border: int | None = None

    @property
    def padding(self) -> int:
        """Zeros on every side."""
        return self.dilation * (self.kernel // 2) if self.border is None else self.border

    @property
    def call(self) -> Call:
        """Constructor of ``torch.nn.Conv2d``."""
        options = {
            "stride": (self.stride, 1),
            "padding": (self.padding, 0),
            "dilation": (self.dilation, 1),
            "groups": (self.groups, 1),
            "bias": (self.bias, True),
        }
        given = tuple((name, value) for name, (value, usual) in options.items() if value != usual)
        return Call("Conv2d", (self.inputs, self.outputs, self.kernel), given)

    @property
    def parameters(self) -> int:
        """Weights ``(outputs, inputs / groups, kernel, kernel)``, and biases."""
        return self.weights + self.outputs * self.bias

    @property
    def weights(self) -> int:
        """Numbers ``(outputs, inputs / groups, kernel, kernel)``."""
        return self.outputs * self._fan_in()

    def shape_after(self, shape: Shape) -> Shape:
        """Return the output shape; ``ceil(side / stride)`` for odd kernels."""
        lost = self.dilation * (self.kernel - 1) - 2 * self.padding
        return self.outputs, *((side - lost - 1) // self.stride + 1 for side in shape[1:])

    def macs(self, after: Shape) -> int:
        """Return one per weight and output pixel; biases count 0."""
        return prod(after) * self._fan_in()

    def _fan_in(self) -> int:
        return self.inputs // self.groups * self.kernel * self.kernel


@dataclass(frozen=True, slots=True)
class Whitening(Conv2d):
    """Primitive layer: convolution with fixed weights, ``signs`` times, with signs in turn."""

    signs: int = 1

    @property
    def call(self) -> Call:
        """Constructor of our module, which derives the other numbers."""
        return Call("Whitening", (self.inputs, self.kernel, self.signs))

    @property
    def parameters(self) -> int:
        """None is trained."""
        return 0


def whitening(inputs: int, window: int, signs: int) -> Whitening:
    """Return the primitive layer of whitening: as many outputs as a window has numbers.

    An even window has no padding, so it takes a pixel from each side.
    """
    border = window // 2 * (window % 2)
    return Whitening(inputs, signs * inputs * window**2, window, border=border, signs=signs)


@dataclass(frozen=True, slots=True)
class _Norm(Primitive):
    channels: int

    @property
    def call(self) -> Call:
        """Constructor for this number of channels."""
        return Call(self.name, (self.channels,))

    @property
    def parameters(self) -> int:
        """A scale and a shift for each channel."""
        return 2 * self.channels


class BatchNorm2d(_Norm):
    """Primitive layer: batch normalisation (Ioffe and Szegedy, 2015)."""

    __slots__ = ()


class ChannelNorm(_Norm):
    """Primitive layer: normalisation over the channels of each pixel (Ba et al., 2016)."""

    __slots__ = ()


class ChannelScale(_Norm):
    """Primitive layer: a trainable factor for each channel, 1 at the start."""

    __slots__ = ()

    @property
    def parameters(self) -> int:
        """One for each channel."""
        return self.channels


@dataclass(frozen=True, slots=True)
class Linear(Primitive):
    """Primitive layer: fully connected, with bias."""

    inputs: int
    outputs: int

    @property
    def call(self) -> Call:
        """Constructor of ``torch.nn.Linear``."""
        return Call("Linear", (self.inputs, self.outputs))

    @property
    def parameters(self) -> int:
        """Weights ``(outputs, inputs)`` and biases."""
        return self.weights + self.outputs

    @property
    def weights(self) -> int:
        """Numbers ``(outputs, inputs)``."""
        return self.outputs * self.inputs

    def shape_after(self, shape: Shape) -> Shape:
        """Return the features."""
        return (self.outputs,)

    def macs(self, after: Shape) -> int:
        """Return one per weight."""
        return self.inputs * self.outputs


_PLAIN: dict[str, Call] = {
    "ReLU": Call("ReLU", options=(("inplace", True),)),
    "SiLU": Call("SiLU"),
    "GELU": Call("GELU"),
    "Hardswish": Call("Hardswish"),
    "Hardsigmoid": Call("Hardsigmoid"),
    "MaxPool2d": Call("MaxPool2d", (2,)),
    "AvgPool2d": Call("AvgPool2d", (2,)),
    "BoxFilter": Call("AvgPool2d", (3, 1, 1)),  # kernel, stride, padding: it keeps the sides
    "GlobalAvgPool2d": Call("AdaptiveAvgPool2d", (1,)),
    "GlobalMaxPool2d": Call("AdaptiveMaxPool2d", (1,)),
    "Flatten": Call("Flatten"),
    "Dropout": Call("Dropout", (0.5,)),
}


@dataclass(frozen=True, slots=True)
class Plain(Primitive):
    """Primitive layer without parameters."""

    kind: Literal[
        "ReLU",
        "SiLU",
        "GELU",
        "Hardswish",
        "Hardsigmoid",
        "MaxPool2d",
        "AvgPool2d",
        "BoxFilter",
        "GlobalAvgPool2d",
        "GlobalMaxPool2d",
        "Flatten",
        "Dropout",
    ]

    @property
    def name(self) -> str:
        """Its kind."""
        return self.kind

    @property
    def call(self) -> Call:
        """Constructor of the torch module."""
        return _PLAIN[self.kind]

    def shape_after(self, shape: Shape) -> Shape:
        """Return the output shape: pools and ``Flatten`` change it."""
        match self.kind:
            case "MaxPool2d" | "AvgPool2d":
                return shape[0], *(side // 2 for side in shape[1:])
            case "GlobalAvgPool2d" | "GlobalMaxPool2d":
                return shape[0], 1, 1
            case "Flatten":
                return (prod(shape),)
            case _:
                return shape


@dataclass(frozen=True, slots=True)
class Branches(Primitive):
    """Primitive layers in branches, then joined.

    Args:
        join: ``Add`` sums the outputs and ``Multiply`` multiplies them, the first one of full
            shape; ``Concat`` joins them by channel; ``Split`` gives each path its own share of
            the input's channels, see :func:`shares`, and joins the outputs by channel.
        branches: The paths; an empty one is the identity.
    """

    join: Literal["Add", "Multiply", "Concat", "ChannelSplit"]
    branches: tuple[Primitives, ...]

    @property
    def name(self) -> str:
        """The join."""
        return self.join

    @property
    def paths(self) -> tuple[Primitives, ...]:
        """The branches."""
        return self.branches

    def shape_after(self, shape: Shape) -> Shape:
        """Return the shape behind the join."""
        after = [through(path, s) for path, s in zip(self.paths, self.inputs(shape), strict=True)]
        if self.join in ("Concat", "ChannelSplit"):
            return sum(end[0] for end in after), *after[0][1:]
        return after[0]

    def inputs(self, shape: Shape) -> list[Shape]:
        """Return the input shape of each path."""
        if self.join != "ChannelSplit":
            return [shape] * len(self.paths)
        return [(share, *shape[1:]) for share in shares(shape[0], len(self.paths))]


RELU = Plain("ReLU")
ACTIVATIONS = ("ReLU", "SiLU", "GELU", "Hardswish")


def restyled(layers: Primitives, activation: str | None, norm: type[_Norm] | None) -> Primitives:
    """Return layers with other activations and norms; None leaves them.

    Args:
        layers: Primitive layers, with paths.
        activation: One of :data:`ACTIVATIONS`.
        norm: :class:`BatchNorm2d` or :class:`ChannelNorm`.
    """
    return tuple(_restyled(layer, activation, norm) for layer in layers)


def _restyled(layer: Primitive, activation: str | None, norm: type[_Norm] | None) -> Primitive:
    if isinstance(layer, Branches):
        paths = tuple(restyled(path, activation, norm) for path in layer.branches)
        return Branches(layer.join, paths)
    if activation and layer.name in ACTIVATIONS:
        return Plain(activation)  # type: ignore[arg-type]
    if norm and isinstance(layer, BatchNorm2d | ChannelNorm):
        return norm(layer.channels)
    return layer


def shares(channels: int, parts: int) -> list[int]:
    """Divide channels as ``torch.tensor_split`` does: the first parts get one more."""
    return [channels // parts + (i < channels % parts) for i in range(parts)]


def normed(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, dilation: int = 1
) -> Primitives:
    """Return the primitive layers of a normalised convolution: no bias, batch norm behind it."""
    return Conv2d(inputs, outputs, kernel, stride, groups, dilation), BatchNorm2d(outputs)


def through(layers: Iterable[Primitive], shape: Shape) -> Shape:
    """Return the shape behind primitive layers that follow each other."""
    for primitive in layers:
        shape = primitive.shape_after(shape)
    return shape


def flatten(layers: Iterable[Primitive], shape: Shape) -> Iterator[tuple[Primitive, Shape]]:
    """Yield each primitive layer with its input shape, those of paths before their join."""
    for primitive in layers:
        if isinstance(primitive, Branches):
            for path, entering in zip(primitive.paths, primitive.inputs(shape), strict=True):
                yield from flatten(path, entering)
        yield primitive, shape
        shape = primitive.shape_after(shape)
