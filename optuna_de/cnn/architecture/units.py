"""The alphabet: units of a convolutional network and their text form. Knows no torch.

A genome is a tuple of units, ``C7k3-C195k5-MP-MP-C219k5-C188k5-AP`` in text. What follows a unit
(input channels, padding, the classifier) is derived in :mod:`optuna_de.cnn.architecture.expand`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import ClassVar, TypeAlias


@dataclass(frozen=True, slots=True)
class Conv:
    """The seed's convolution: stride 1, padding ``kernel // 2``, bias, ReLU. Text ``C64k3``."""

    kind: ClassVar[str] = "conv"
    channels: int
    kernel: int


@dataclass(frozen=True, slots=True)
class MaxPool:
    """Maximum over 2x2, stride 2. Text ``MP``."""

    kind: ClassVar[str] = "max_pool"


@dataclass(frozen=True, slots=True)
class AvgPool:
    """Average over 2x2, stride 2. Text ``AP``."""

    kind: ClassVar[str] = "avg_pool"


@dataclass(frozen=True, slots=True)
class FC:
    """A hidden fully connected layer of the head: dropout 0.5, linear, ReLU. Text ``FC512``."""

    kind: ClassVar[str] = "fc"
    width: int


@dataclass(frozen=True, slots=True)
class NormConv:
    """Convolution without bias, batch normalisation (Ioffe and Szegedy, 2015), ReLU. ``B64k3``."""

    kind: ClassVar[str] = "norm_conv"
    channels: int
    kernel: int


@dataclass(frozen=True, slots=True)
class DownConv:
    """A :class:`NormConv` of stride 2 (Springenberg et al., 2015). Text ``S64k3``."""

    kind: ClassVar[str] = "down_conv"
    channels: int
    kernel: int


@dataclass(frozen=True, slots=True)
class Residual:
    """Two normalised convolutions beside a skip connection (He et al., 2016). Text ``R64k3``.

    The skip is the identity, or a normalised 1x1 convolution where the channels change.
    """

    kind: ClassVar[str] = "residual"
    channels: int
    kernel: int


@dataclass(frozen=True, slots=True)
class Separable:
    """Depthwise, then pointwise convolution, each normalised (Howard et al., 2017). ``D64k3``."""

    kind: ClassVar[str] = "separable"
    channels: int
    kernel: int


@dataclass(frozen=True, slots=True)
class Parallel:
    """Two :class:`NormConv` side by side, concatenated (Szegedy et al., 2015). Text ``P64k5``.

    One is 1x1 with ``channels // 2`` outputs, the other has ``kernel`` and the rest; 2 channels
    at least.
    """

    kind: ClassVar[str] = "parallel"
    channels: int
    kernel: int


@dataclass(frozen=True, slots=True)
class GAP:
    """Global average pooling before the head's linear layers (Lin et al., 2014). Text ``GAP``."""

    kind: ClassVar[str] = "gap"


Unit: TypeAlias = (
    Conv | MaxPool | AvgPool | FC | NormConv | DownConv | Residual | Separable | Parallel | GAP
)
Genome: TypeAlias = tuple[Unit, ...]
LETTERS: dict[str, type[Unit]] = {
    "C": Conv,
    "MP": MaxPool,
    "AP": AvgPool,
    "FC": FC,
    "B": NormConv,
    "S": DownConv,
    "R": Residual,
    "D": Separable,
    "P": Parallel,
    "GAP": GAP,
}
_WORDS = {unit: letter for letter, unit in LETTERS.items()}
_TOKEN = re.compile(r"(?P<letter>[A-Z]+)(?:(?P<width>[0-9]{1,12})(?:k(?P<kernel>[0-9]{1,6}))?)?")


def render(genome: Sequence[Unit]) -> str:
    """Write a genome as text; it inverts :func:`parse`."""
    return "-".join(_WORDS[type(u)] + "k".join(map(str, astuple(u))) for u in genome)


def parse(text: str) -> Genome:
    """Read a genome from text such as ``C7k3-MP-C64k5-FC128``.

    Raises:
        ValueError: Where a token is no unit, a number is out of range or a unit is misplaced.
    """
    tokens = text.strip().split("-")
    genome = tuple(_parse_token(token, i) for i, token in enumerate(tokens, 1))
    check(genome)
    return genome


def _parse_token(token: str, position: int) -> Unit:
    match = _TOKEN.fullmatch(token)
    unit = LETTERS.get(match["letter"]) if match else None
    numbers = [int(n) for n in (match["width"], match["kernel"]) if n] if match else []
    if unit is None or len(numbers) != len(fields(unit)):
        raise ValueError(
            f"Unit {position} of the architecture, {token[:40]!r}, is not understood; units are "
            "C64k3, B64k3, S64k3, R64k3, D64k3, P64k3, MP, AP, and at the end GAP or FC512."
        )
    return unit(*numbers)


def check(genome: Sequence[Unit]) -> None:
    """Refuse a genome that no network can have.

    Raises:
        ValueError: Where it is empty, a number is out of range, or a head unit (``GAP``, then
            ``FC``) stands before another.
    """
    if not split_head(genome)[0]:
        raise ValueError("An architecture needs at least one unit before its head.")
    for position, unit in enumerate(genome, 1):
        least = 2 if isinstance(unit, Parallel) else 1
        if not _is_sized(unit, least):
            raise ValueError(
                f"Unit {position} of the architecture, {render([unit])!r}, needs integers: at "
                f"least {least} channels and an odd, positive kernel."
            )
    for unit in split_head(genome)[0]:
        if isinstance(unit, FC | GAP):
            raise ValueError(
                f"{render([unit])!r} stands before other units; FC units come last, GAP just "
                "before them."
            )


def _is_sized(unit: Unit, least: int) -> bool:
    """Tell whether widths are at least ``least`` and the kernel is odd, in whole numbers."""
    sizes = {field.name: getattr(unit, field.name) for field in fields(unit)}
    if any(not isinstance(size, int) or size < 1 for size in sizes.values()):
        return False
    kernel = sizes.pop("kernel", 1)
    return kernel % 2 == 1 and all(size >= least for size in sizes.values())


def split_head(genome: Sequence[Unit]) -> tuple[Genome, Genome]:
    """Split a genome into its body and its explicit head; the head may be empty."""
    end = len(genome)
    while end and isinstance(genome[end - 1], FC):
        end -= 1
    if end and isinstance(genome[end - 1], GAP):
        end -= 1
    return tuple(genome[:end]), tuple(genome[end:])


def repair(genome: Sequence[Unit], image_shape: tuple[int, int, int]) -> Genome:
    """Drop each pool and strided convolution that would take the smaller side below 2."""
    side = min(image_shape[1:])
    kept: list[Unit] = []
    for unit in genome:
        after = side_after(unit, side)
        if after == side or after >= 2:
            kept.append(unit)
            side = after
    return tuple(kept)


def side_after(unit: Unit, side: int) -> int:
    """Return the side of the feature map behind a unit."""
    match unit:
        case MaxPool() | AvgPool():
            return side // 2
        case DownConv():
            return (side + 1) // 2  # padding kernel // 2
        case _:
            return side
