"""Units: the alphabet of convolutional and pooling units, a row of the table each. No torch.

A genome is a tuple of units, see :mod:`optuna_de.cnn.architecture.genomes`. Input channels,
padding and the classifier are derived in :mod:`optuna_de.cnn.architecture.expand`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import ClassVar

from optuna.distributions import IntDistribution

from optuna_de._colours import INK
from optuna_de.cnn.architecture.layers import (
    RELU,
    BatchNorm2d,
    Branches,
    ChannelNorm,
    ChannelScale,
    Conv2d,
    Linear,
    Plain,
    Primitives,
    normed,
    shares,
    whitening,
)
from optuna_de.search_space.distributions import Distributions

NARROWEST, WIDEST = 8, 256
CHANNELS = IntDistribution(NARROWEST, WIDEST, log=True)
KERNELS = IntDistribution(1, 5, step=2)
WIDE_KERNELS = IntDistribution(3, 7, step=2)
_GREY = "#999999"
_SEED_RANGES: Distributions = {
    "channels": IntDistribution(1, WIDEST),
    "kernel": IntDistribution(1, 7, step=2),
}
_RANGES: Distributions = {"channels": CHANNELS, "kernel": KERNELS}
_WIDE_RANGES: Distributions = {"channels": CHANNELS, "kernel": WIDE_KERNELS}
_MIXER_RANGES: Distributions = {"channels": CHANNELS, "expansion": IntDistribution(1, 4)}
_PATCH_RANGES: Distributions = {"channels": CHANNELS, "window": IntDistribution(2, 4)}
_WIDTHS: Distributions = {"width": IntDistribution(10, 1024, log=True)}


class Unit(ABC):
    """Unit of a network: a row of the table, with its text form.

    It is a frozen dataclass of whole numbers, and its class holds all that is specific to a kind.

    In text a unit is its ``letter`` and its fields in order: the first as a number, each other as
    the initial of its name and a number (``C64k3``). A field that has its default is left out.

    Attributes:
        kind: Name of the kind in parameters.
        letter: Capital letters that begin its text.
        colour: Of its blocks in drawings.
        distributions: Ranges in the modern space (of :class:`Conv`: the seed's), at most two;
            fields without one keep their default.
        least: Smallest value of a field, if that is not 1; a ``kernel`` is also odd.
        is_head: Whether it follows the body.
        activation: What the activations of the units behind it become.
        norm: What their norms become.
    """

    __slots__ = ()
    kind: ClassVar[str]
    letter: ClassVar[str]
    colour: ClassVar[str] = _GREY
    distributions: ClassVar[Distributions] = {}
    least: ClassVar[Mapping[str, int]] = {}
    is_head: ClassVar[bool] = False
    activation: ClassVar[str | None] = None
    norm: ClassVar[type[BatchNorm2d] | type[ChannelNorm] | None] = None

    @abstractmethod
    def layers(self, inputs: int) -> Primitives:
        """Return its primitive layers for a number of input channels (of the head: features)."""


@dataclass(frozen=True, slots=True)
class _Convolutional(Unit):
    """Channels and kernel, which most units have."""

    distributions = _RANGES
    channels: int
    kernel: int


@dataclass(frozen=True, slots=True)
class Conv(_Convolutional):
    """Convolutional unit of the seed, ``C64k3``: stride 1, padding ``kernel // 2``, bias, ReLU."""

    kind = "conv"
    letter = "C"
    colour = "#0072B2"
    distributions = _SEED_RANGES

    def layers(self, inputs: int) -> Primitives:
        """Return convolution and ReLU."""
        return Conv2d(inputs, self.channels, self.kernel, bias=True), RELU


@dataclass(frozen=True, slots=True)
class NormConv(_Convolutional):
    """Convolutional unit with a norm, ``B64k3``.

    Convolution without bias, batch normalisation (Ioffe and Szegedy, 2015) and ReLU.
    """

    kind = "norm_conv"
    letter = "B"
    colour = "#56B4E9"

    def layers(self, inputs: int) -> Primitives:
        """Return convolution, norm and ReLU."""
        return *normed(inputs, self.channels, self.kernel), RELU


@dataclass(frozen=True, slots=True)
class DownConv(_Convolutional):
    """Convolutional unit of stride 2, ``S64k3``: a strided :class:`NormConv`.

    Source: Springenberg et al., 2015.
    """

    kind = "down_conv"
    letter = "S"
    colour = "#CC79A7"

    def layers(self, inputs: int) -> Primitives:
        """Return strided convolution, norm and ReLU."""
        return *normed(inputs, self.channels, self.kernel, stride=2), RELU


@dataclass(frozen=True, slots=True)
class Residual(_Convolutional):
    """Convolutional unit with a skip, ``R64k3``: two normalised convolutions (He et al., 2016).

    The skip is the identity, or a normalised 1x1 convolution if the channels change.
    """

    kind = "residual"
    letter = "R"
    colour = "#009E73"

    def layers(self, inputs: int) -> Primitives:
        """Return the sum of both paths, and ReLU."""
        first = normed(inputs, self.channels, self.kernel)
        main = (*first, RELU, *normed(self.channels, self.channels, self.kernel))
        skip = () if inputs == self.channels else normed(inputs, self.channels, 1)
        return Branches("Add", (main, skip)), RELU


@dataclass(frozen=True, slots=True)
class Separable(_Convolutional):
    """Convolutional unit, separable, ``D64k3``: depthwise, then pointwise, each normalised.

    Source: Howard et al., 2017.
    """

    kind = "separable"
    letter = "D"
    colour = "#F0E442"

    def layers(self, inputs: int) -> Primitives:
        """Return both convolutions with norm and ReLU."""
        depthwise = normed(inputs, inputs, self.kernel, groups=inputs)
        return *depthwise, RELU, *normed(inputs, self.channels, 1), RELU


@dataclass(frozen=True, slots=True)
class Parallel(_Convolutional):
    """Convolutional unit of two parallel paths, ``P64k5``, concatenated (Szegedy et al., 2015).

    Each is a :class:`NormConv`. One is 1x1 with ``channels // 2`` outputs, the other has
    ``kernel`` and the rest; 2 channels at least.
    """

    kind = "parallel"
    letter = "P"
    colour = "#E69F00"
    least: ClassVar[Mapping[str, int]] = {"channels": 2}

    def layers(self, inputs: int) -> Primitives:
        """Return both paths concatenated, and ReLU."""
        half = self.channels // 2
        wide = normed(inputs, self.channels - half, self.kernel)
        return Branches("Concat", (normed(inputs, half, 1), wide)), RELU


@dataclass(frozen=True, slots=True)
class Grouped(_Convolutional):
    """Convolutional unit in groups of channels, ``G64k3`` or ``G64k3g8`` (Xie et al., 2017).

    A grouped :class:`NormConv`. The number of groups is the greatest common divisor of ``groups``,
    inputs and outputs.
    """

    kind = "grouped"
    letter = "G"
    colour = "#882255"
    distributions = _WIDE_RANGES
    groups: int = 4

    def layers(self, inputs: int) -> Primitives:
        """Return grouped convolution, norm and ReLU."""
        groups = gcd(self.groups, inputs, self.channels)
        return *normed(inputs, self.channels, self.kernel, groups=groups), RELU


@dataclass(frozen=True, slots=True)
class Dilated(_Convolutional):
    """Convolutional unit with a dilated kernel, ``A64k3`` or ``A64k3d3`` (Yu and Koltun, 2016).

    A :class:`NormConv`: a step of the kernel is ``dilation`` pixels; A stands for the French "a
    trous".
    """

    kind = "dilated"
    letter = "A"
    colour = "#44AA99"
    distributions = _WIDE_RANGES
    dilation: int = 2

    def layers(self, inputs: int) -> Primitives:
        """Return dilated convolution, norm and ReLU."""
        return *normed(inputs, self.channels, self.kernel, dilation=self.dilation), RELU


@dataclass(frozen=True, slots=True)
class Inverted(_Convolutional):
    """Convolutional unit, an inverted bottleneck, ``I64k3``, ``I64k5e6s4`` or ``I64k3d2``.

    Source: MobileNetV3 (Howard et al., 2019). A pointwise convolution to ``expansion`` times the
    inputs (none for 1), a depthwise one, each with norm and hard-swish, and a normalised pointwise
    one to ``channels``; plus the inputs if their shape stays. ``downsampling`` is the stride of
    the depthwise one. With ``squeeze`` s > 0,
    the depthwise outputs pass squeeze-and-excitation (Hu et al., 2018) with a bottleneck of a
    share 1/s of them.
    """

    kind = "inverted"
    letter = "I"
    colour = "#332288"
    distributions = _WIDE_RANGES
    least: ClassVar[Mapping[str, int]] = {"squeeze": 0}
    expansion: int = 4
    squeeze: int = 0
    downsampling: int = 1

    def layers(self, inputs: int) -> Primitives:
        """Return the three convolutions, with the skip if the shape stays."""
        hidden, swish = inputs * self.expansion, Plain("Hardswish")
        expand = (*normed(inputs, hidden, 1), swish) if self.expansion > 1 else ()
        stride = self.downsampling
        depthwise = (*normed(hidden, hidden, self.kernel, stride=stride, groups=hidden), swish)
        gate = _squeeze_and_excite(hidden, self.squeeze) if self.squeeze else ()
        main = (*expand, *depthwise, *gate, *normed(hidden, self.channels, 1))
        stays = inputs == self.channels and stride == 1
        return (Branches("Add", (main, ())),) if stays else main


def _squeeze_and_excite(channels: int, ratio: int) -> Primitives:
    narrow = max(1, channels // ratio)
    down = (Plain("GlobalAvgPool2d"), Conv2d(channels, narrow, 1, bias=True), RELU)
    gate = (*down, Conv2d(narrow, channels, 1, bias=True), Plain("Hardsigmoid"))
    return (Branches("Multiply", ((), gate)),)


@dataclass(frozen=True, slots=True)
class Mixer(Unit):
    """Convolutional unit that mixes several kernels, ``M48`` or ``M64e2``.

    Depthwise convolutions, then a gated expansion: the block of cifar10-tiniest (xvel, 2024), with
    GELU in the gate: the channels in four equal shares, of which one stays and the others pass
    depthwise kernels of 3, of 7, and of 7 with dilation 3 behind a 3x3 mean; norm over the
    channels; two pointwise convolutions to ``expansion * channels``, one gating the other
    (Shazeer, 2020); a pointwise one to ``channels``. If the channels stay, the inputs are added,
    each times a trained factor.
    """

    kind = "mixer"
    letter = "M"
    colour = "#AA4499"
    distributions = _MIXER_RANGES
    channels: int
    expansion: int = 1

    def layers(self, inputs: int) -> Primitives:
        """Return mixing of pixels, then of channels, with the skip if the channels stay."""
        hidden = self.expansion * self.channels
        mix = (_depthwise_mix(inputs), ChannelNorm(inputs))
        value = (Conv2d(inputs, hidden, 1, bias=True),)
        gated = Branches("Multiply", (value, (*value, Plain("GELU"))))
        main = (*mix, gated, Conv2d(hidden, self.channels, 1, bias=True))
        if inputs != self.channels:
            return main
        return (Branches("Add", (main, (ChannelScale(inputs),))),)


def _depthwise_mix(channels: int) -> Branches:
    """Return the paths on four shares of the channels, fewer if there are fewer channels."""
    sizes = shares(channels, min(4, channels))

    def depthwise(share: int, kernel: int, dilation: int = 1) -> Conv2d:
        size = sizes[share] if share < len(sizes) else 1
        return Conv2d(size, size, kernel, groups=size, dilation=dilation, bias=True)

    paths = ((), (depthwise(1, 3),), (depthwise(2, 7),), (Plain("BoxFilter"), depthwise(3, 7, 3)))
    return Branches("ChannelSplit", paths[: len(sizes)])


@dataclass(frozen=True, slots=True)
class Patch(Unit):
    """Convolutional unit of patches, ``E64`` or ``E64w4s4``: strided convolution and norm.

    Each window becomes ``channels`` numbers, without an activation (Dosovitskiy et al., 2021; with
    a norm Liu et al., 2022). Windows that are larger than their stride overlap; their padding is
    half the difference, rounded up. E stands for embedding.
    """

    kind = "patch"
    letter = "E"
    colour = "#661100"
    distributions = _PATCH_RANGES
    channels: int
    window: int = 2
    stride: int = 2
    groups: int = 1

    def layers(self, inputs: int) -> Primitives:
        """Return convolution and norm; groups as :class:`Grouped` counts them."""
        border = max(0, self.window - self.stride + 1) // 2
        groups = gcd(self.groups, inputs, self.channels)
        sizes = (inputs, self.channels, self.window, self.stride, groups)
        return Conv2d(*sizes, border=border), BatchNorm2d(self.channels)


@dataclass(frozen=True, slots=True)
class Whiten(Unit):
    """Convolutional unit with fixed weights, ``WH``: whitening of the image, as a first unit.

    Each window of w x w pixels and c channels becomes c w^2 uncorrelated numbers of deviation 1,
    its principal components in the training images (Coates et al., 2011; in a CNN airbench94,
    Jordan, 2024). Its weights are computed before the training, not trained, and not counted as
    parameters. With ``signs`` of 2 the negated numbers follow, and an activation. ``WH2s2`` is
    airbench94's; an even window has no padding.
    """

    kind = "whitening"
    letter = "WH"
    colour = "#999933"
    window: int = 3
    signs: int = 1

    def layers(self, inputs: int) -> Primitives:
        """Return the convolution, and ReLU behind more than one sign."""
        fixed = whitening(inputs, self.window, self.signs)
        return (fixed, RELU) if self.signs > 1 else (fixed,)


class _Switch(Unit):
    """Switch of the activations or norms of all units behind it, up to another such switch."""

    __slots__ = ()

    def layers(self, inputs: int) -> Primitives:
        """Return no layers."""
        return ()


@dataclass(frozen=True, slots=True)
class UseReLU(_Switch):
    """Switch of the units behind it, ``RELU``: their activations become ReLU."""

    kind, letter, activation = "use_relu", "RELU", "ReLU"


@dataclass(frozen=True, slots=True)
class UseSiLU(_Switch):
    """Switch of the units behind it, ``SILU``: SiLU (Elfwing et al., 2018; Swish)."""

    kind, letter, activation = "use_silu", "SILU", "SiLU"


@dataclass(frozen=True, slots=True)
class UseGELU(_Switch):
    """Switch of the units behind it, ``GELU``: GELU (Hendrycks and Gimpel, 2016)."""

    kind, letter, activation = "use_gelu", "GELU", "GELU"


@dataclass(frozen=True, slots=True)
class UseHardswish(_Switch):
    """Switch of the units behind it, ``HSWISH``: hard-swish (Howard et al., 2019)."""

    kind, letter, activation = "use_hardswish", "HSWISH", "Hardswish"


@dataclass(frozen=True, slots=True)
class UseBatchNorm(_Switch):
    """Switch of the units behind it, ``BN``: batch norms (Ioffe and Szegedy, 2015)."""

    kind, letter, norm = "use_batch_norm", "BN", BatchNorm2d


@dataclass(frozen=True, slots=True)
class UseLayerNorm(_Switch):
    """Switch of the units behind it, ``LN``: norms over the channels (Ba et al., 2016)."""

    kind, letter, norm = "use_layer_norm", "LN", ChannelNorm


@dataclass(frozen=True, slots=True)
class MaxPool(Unit):
    """Pooling unit, ``MP``: maximum over 2x2, stride 2."""

    kind = "max_pool"
    letter = "MP"
    colour = "#D55E00"

    def layers(self, inputs: int) -> Primitives:
        """Return the pool."""
        return (Plain("MaxPool2d"),)


@dataclass(frozen=True, slots=True)
class AvgPool(Unit):
    """Pooling unit, ``AP``: average over 2x2, stride 2."""

    kind = "avg_pool"
    letter = "AP"

    def layers(self, inputs: int) -> Primitives:
        """Return the pool."""
        return (Plain("AvgPool2d"),)


@dataclass(frozen=True, slots=True)
class GAP(Unit):
    """Pooling unit of the head, ``GAP``: global average (Lin et al., 2014)."""

    kind = "gap"
    letter = "GAP"
    is_head = True

    def layers(self, inputs: int) -> Primitives:
        """Return the pool."""
        return (Plain("GlobalAvgPool2d"),)


@dataclass(frozen=True, slots=True)
class GMP(Unit):
    """Pooling unit of the head, ``GMP``: global maximum (Oquab et al., 2015)."""

    kind = "gmp"
    letter = "GMP"
    is_head = True

    def layers(self, inputs: int) -> Primitives:
        """Return the pool."""
        return (Plain("GlobalMaxPool2d"),)


@dataclass(frozen=True, slots=True)
class FC(Unit):
    """Fully connected unit of the head, ``FC512``: dropout 0.5, linear layer, ReLU."""

    kind = "fc"
    letter = "FC"
    colour = INK
    distributions = _WIDTHS
    is_head = True
    width: int

    def layers(self, inputs: int) -> Primitives:
        """Return dropout, linear layer and ReLU, for a number of features."""
        return Plain("Dropout"), Linear(inputs, self.width), RELU


_BODY: tuple[type[Unit], ...] = (
    Conv,
    NormConv,
    DownConv,
    Residual,
    Separable,
    Parallel,
    MaxPool,
    AvgPool,
)
_OPTIONAL: tuple[type[Unit], ...] = (Inverted, Mixer, Grouped, Dilated, Patch, Whiten)
_SWITCHES: tuple[type[Unit], ...] = (
    *(UseReLU, UseSiLU, UseGELU, UseHardswish),
    *(UseBatchNorm, UseLayerNorm),
)
_HEAD: tuple[type[Unit], ...] = (GAP, GMP, FC)
UNITS: dict[str, type[Unit]] = {
    unit.letter: unit for unit in (*_BODY, *_OPTIONAL, *_SWITCHES, *_HEAD)
}
"""Every kind of unit by the letters of its text."""
