"""Inheritance: a network starts from the weights of its parent wherever units continue.

Channels grow and shrink at their end, kernels around their middle. What reads a new channel reads
it with weight 0, so that growing alone changes no output (Net2Net, Chen et al., 2016; Elsken et
al., 2019, LEMONADE); new units begin as :mod:`optuna_de.cnn.modules.identity` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import prod

import torch
from torch import Tensor, nn

from optuna_de.cnn.architecture.alignment import align
from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.genomes import split_head
from optuna_de.cnn.architecture.layers import (
    BatchNorm2d,
    Branches,
    ChannelNorm,
    ChannelScale,
    Conv2d,
    ImageShape,
    Linear,
    Plain,
    Primitive,
    Primitives,
    Shape,
    shares,
    through,
)
from optuna_de.cnn.architecture.units import Unit
from optuna_de.cnn.modules.channel_map import (
    ChannelMap,
    clipped,
    joined,
    leading,
    repeated,
    share_of,
    shifted,
)
from optuna_de.cnn.modules.identity import Marks, calibrate, make_identity

State = Mapping[str, Tensor]
_FLATTEN = Plain("Flatten")


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a network inherited: units that continue one of the parent's, of all units."""

    units: int
    of: int

    @property
    def text(self) -> str:
        """The same in words."""
        return f"{self.units} of {self.of} units"


@dataclass(frozen=True, slots=True)
class Parent:
    """A parent: its network and its trained tensors by name.

    Args:
        genome: Its units.
        state: What ``state_dict`` of its module held, of any precision.
    """

    genome: Sequence[Unit]
    state: State


def inherit(
    model: nn.Module,
    genome: Sequence[Unit],
    parent: Parent,
    image_shape: ImageShape,
    classes: int,
    images: Tensor,
) -> Inherited:
    """Put a parent's weights into a network, in place; the rest stays as it was drawn.

    Args:
        model: The network of ``genome``, on the CPU.
        genome: Its units.
        parent: The parent, for the same images and classes.
        image_shape: ``(channels, height, width)``.
        classes: Number of classes.
        images: Normalised images (n, c, h, w), some dozens, that set the norms of new units.

    Raises:
        KeyError: If the parent's state is not that of its genome.
    """
    own, old = (_Stages.of(g, image_shape, classes) for g in (genome, parent.genome))
    heir = _Heir(dict(model.state_dict()), parent.state)
    channels, last = torch.arange(image_shape[0]), -1
    places = align(own.body, old.body)
    with torch.no_grad():
        for i, place in enumerate(places):
            if place is None:
                channels = heir.begin(own, i, channels, old.outputs(last))
                continue
            if place > last + 1 and old.outputs(last) != old.outputs(place - 1):
                channels = leading(len(channels), old.outputs(place - 1))
            channels = heir.go_on(own, i, old, place, channels)
            last = place
        if old.outputs(last) != old.outputs(len(old.body) - 1):
            channels = leading(len(channels), old.outputs(len(old.body) - 1))
        heir.head(own, old, channels)
        calibrate(model, heir.marks, images)
    return Inherited(sum(place is not None for place in places), len(places))


@dataclass(frozen=True)
class _Stages:
    """A network, unit by unit: primitive layers, index of the first, shape that enters."""

    body: Sequence[Unit]
    layers: tuple[Primitives, ...]
    starts: tuple[int, ...]
    shapes: tuple[Shape, ...]

    @classmethod
    def of(cls, genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> _Stages:
        layers = expand(genome, image_shape, classes)
        shapes: list[Shape] = [image_shape]
        for unit in layers[:-1]:
            shapes.append(through(unit, shapes[-1]))
        starts = accumulate(map(len, layers[:-1]), initial=0)
        return cls(split_head(genome)[0], layers, tuple(starts), tuple(shapes))

    def outputs(self, unit: int) -> int:
        """Return the channels behind a unit; of the images for -1."""
        return self.shapes[unit + 1][0]


@dataclass
class _Heir:
    """Copies weights from layer to layer.

    Args:
        own: The tensors of the network, written in place.
        old: Those of the parent.
        marks: Norms of new units, to be calibrated.
    """

    own: dict[str, Tensor]
    old: State
    marks: Marks = field(default_factory=dict)

    def begin(self, own: _Stages, unit: int, channels: ChannelMap, old: int) -> ChannelMap:
        """Begin a new unit, as the identity where it can be; return the map behind it."""
        outputs = own.outputs(unit)
        if unit == 0:  # it reads images, not features
            return leading(outputs, old)
        layers, start = own.layers[unit], own.starts[unit]
        marks, passing = make_identity(layers, start, "", self.own, len(channels))
        self.marks |= marks
        if (passing < 0).all():
            return leading(outputs, old)
        return torch.where(passing < 0, -1, channels[passing.clamp(min=0)])

    def go_on(
        self, own: _Stages, unit: int, old: _Stages, place: int, channels: ChannelMap
    ) -> ChannelMap:
        """Let a unit go on from one of the parent's; return the map behind it."""
        a = _Path(own.layers[unit], own.starts[unit], "", own.shapes[unit])
        b = _Path(old.layers[place], old.starts[place], "", old.shapes[place])
        return self.path(a, b, channels)

    def head(self, own: _Stages, old: _Stages, channels: ChannelMap) -> None:
        """Copy the head, the classifier with it."""
        a = _Path(own.layers[-1], own.starts[-1], "", own.shapes[-1])
        b = _Path(old.layers[-1], old.starts[-1], "", old.shapes[-1])
        self.path(a, b, channels)

    def path(
        self, own: _Path, old: _Path, channels: ChannelMap, wanted: ChannelMap | None = None
    ) -> ChannelMap:
        """Copy a path; return the map behind it.

        Args:
            own: The path.
            old: The parent's.
            channels: The map before it.
            wanted: The map that its last convolution has to give, as a skip beside it does.
        """
        if not _alike(own.layers, old.layers):
            return self._unlike(own, old, channels, wanted)
        last = max((i for i, x in enumerate(own.layers) if isinstance(x, Conv2d)), default=-1)
        for i, (a, b) in enumerate(zip(own, old, strict=True)):
            target = wanted if i == last else None
            match a.layer:
                case Conv2d():
                    channels = self._convolution(a, b, channels, target)
                case Linear():
                    channels = self._linear(a, b, channels)
                case BatchNorm2d() | ChannelNorm() | ChannelScale():
                    self._vectors(a, b, channels)
                case Branches():
                    channels = self._branches(a, b, channels)
                case _ if a.layer == _FLATTEN:
                    channels = _flattened(channels, a.shape, b.shape)
        return channels

    def _unlike(
        self, own: _Path, old: _Path, channels: ChannelMap, wanted: ChannelMap | None
    ) -> ChannelMap:
        """Begin a path anew: where the parent had a mere skip, as the identity."""
        if wanted is not None:
            return wanted
        outputs, before = (through(p.layers, p.shape)[0] for p in (own, old))
        if old.layers:
            return leading(outputs, before)
        marks, passing = make_identity(own.layers, own.start, own.prefix, self.own, len(channels))
        self.marks |= marks
        return torch.where(passing < 0, -1, channels[passing.clamp(min=0)])

    def _convolution(
        self, own: _Layer, old: _Layer, channels: ChannelMap, wanted: ChannelMap | None
    ) -> ChannelMap:
        a, b = own.layer, old.layer
        assert isinstance(a, Conv2d)
        assert isinstance(b, Conv2d)
        if a.groups == b.groups == 1:
            rows = leading(a.outputs, b.outputs) if wanted is None else clipped(wanted, b.outputs)
            columns = channels
        elif a.groups == a.inputs and b.groups == b.inputs:  # depthwise
            rows, columns = clipped(channels, b.outputs), torch.zeros(1, dtype=torch.int64)
        elif (a.groups, a.inputs, a.outputs) == (b.groups, b.inputs, b.outputs):
            rows, columns = torch.arange(a.outputs), torch.arange(a.inputs // a.groups)
        else:
            return torch.full((a.outputs,), -1)
        if (columns < 0).all():
            return torch.full((a.outputs,), -1)
        weight = self.own[f"{own.name}.weight"]
        _copy_block(weight, self.old[f"{old.name}.weight"], rows, columns)
        if a.bias:
            self._vector(f"{own.name}.bias", f"{old.name}.bias", rows)
        return rows

    def _linear(self, own: _Layer, old: _Layer, channels: ChannelMap) -> ChannelMap:
        a, b = own.layer, old.layer
        assert isinstance(a, Linear)
        assert isinstance(b, Linear)
        if (channels < 0).all():
            return torch.full((a.outputs,), -1)
        rows = leading(a.outputs, b.outputs)
        weight, before = self.own[f"{own.name}.weight"], self.old[f"{old.name}.weight"]
        _copy_block(weight[..., None, None], before[..., None, None], rows, channels)
        self._vector(f"{own.name}.bias", f"{old.name}.bias", rows)
        return rows

    def _vectors(self, own: _Layer, old: _Layer, channels: ChannelMap) -> None:
        for kind in ("weight", "bias", "running_mean", "running_var"):
            if f"{own.name}.{kind}" in self.own:
                self._vector(f"{own.name}.{kind}", f"{old.name}.{kind}", channels)

    def _vector(self, own: str, old: str, channels: ChannelMap) -> None:
        kept = channels >= 0
        tensor = self.own[own]
        tensor[kept] = self.old[old][channels[kept]].to(tensor.dtype)

    def _branches(self, own: _Layer, old: _Layer, channels: ChannelMap) -> ChannelMap:
        a, b = own.layer, old.layer
        assert isinstance(a, Branches)
        assert isinstance(b, Branches)
        entering = [channels] * len(a.paths)
        if a.join == "ChannelSplit":
            entering = _split(channels, old.shape[0], len(a.paths))
        skips = any(not x and not y for x, y in zip(a.paths, b.paths, strict=True))
        wanted = channels if skips and a.join in ("Add", "Multiply") else None
        pairs = zip(own.paths(), old.paths(), entering, strict=True)
        maps = [self.path(x, y, c, wanted if x.layers else None) for x, y, c in pairs]
        if a.join in ("Add", "Multiply"):
            return maps[0] if wanted is None else wanted
        sizes = [through(path.layers, path.shape)[0] for path in old.paths()]
        starts = accumulate(sizes[:-1], initial=0)
        return joined([shifted(m, start) for m, start in zip(maps, starts, strict=True)])


@dataclass(frozen=True)
class _Layer:
    """A primitive layer, its name in the module, and the shape that enters."""

    layer: Primitive
    name: str
    shape: Shape

    def paths(self) -> list[_Path]:
        """Return the paths of branches."""
        assert isinstance(self.layer, Branches)
        shapes = self.layer.inputs(self.shape)
        return [
            _Path(path, 0, f"{self.name}.branches.{i}.", shape)
            for i, (path, shape) in enumerate(zip(self.layer.paths, shapes, strict=True))
        ]


@dataclass(frozen=True)
class _Path:
    """Layers that follow each other; the name of each is the prefix and its index."""

    layers: Primitives
    start: int
    prefix: str
    shape: Shape

    def __iter__(self) -> Iterator[_Layer]:
        shape = self.shape
        for i, layer in enumerate(self.layers, self.start):
            yield _Layer(layer, f"{self.prefix}{i}", shape)
            shape = layer.shape_after(shape)


def _alike(own: Primitives, old: Primitives) -> bool:
    """Return whether two paths consist of the same kinds of layers."""
    return [*map(_kind, own)] == [*map(_kind, old)]


def _kind(layer: Primitive) -> tuple[object, ...]:
    paths = len(layer.paths)
    bias = isinstance(layer, Conv2d) and layer.bias
    return type(layer), layer.name, paths, bias


def _split(channels: ChannelMap, old: int, parts: int) -> list[ChannelMap]:
    sizes = shares(old, parts)
    starts = accumulate(sizes[:-1], initial=0)
    own = torch.tensor_split(channels, parts)
    return [share_of(c, start, n) for c, start, n in zip(own, starts, sizes, strict=True)]


def _flattened(channels: ChannelMap, own: Shape, old: Shape) -> ChannelMap:
    """Return the map of features; none continues where channels have other numbers of pixels."""
    pixels, before = prod(own[1:]), prod(old[1:])
    if pixels != before:
        return torch.full((len(channels) * pixels,), -1)
    return repeated(channels, pixels)


def _copy_block(weight: Tensor, old: Tensor, rows: ChannelMap, columns: ChannelMap) -> None:
    """Copy rows and columns (outputs, inputs, k, k), kernels by their middle; others read 0."""
    kept, read = rows >= 0, columns >= 0
    side = min(weight.shape[2], old.shape[2])
    own_edge, old_edge = (weight.shape[2] - side) // 2, (old.shape[2] - side) // 2
    block = old[rows[kept]][:, columns[read]]
    block = block[:, :, old_edge : old_edge + side, old_edge : old_edge + side]
    fresh = torch.zeros_like(weight[kept])
    inner = slice(own_edge, own_edge + side)
    fresh[:, read, inner, inner] = block.to(weight.dtype)
    weight[kept] = fresh
