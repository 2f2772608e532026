"""Initial distributions of network bodies: the seed's, and one of small networks. No torch."""

from __future__ import annotations

import numpy as np

from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.units import (
    AvgPool,
    Conv,
    DownConv,
    Genome,
    MaxPool,
    NormConv,
    Parallel,
    Residual,
    Separable,
    Unit,
    repair,
)

WIDEST = 256
NARROWEST = 8
_BLOCKS = (NormConv, Residual, Separable, Parallel)


def draw_seed(rng: np.random.Generator, image_shape: ImageShape) -> Genome:
    """Draw from the seed's initial distribution: 7 to 15 slots, widths that never fall.

    The first slot is a convolution of 5 to 12 channels; every other one is, with probability 0.5
    each, a convolution of at least the width before it, or a pool (maximum 0.8, average 0.2). A
    pool is dropped where the side is 2 already.
    """
    units: list[Unit] = [_conv(5, 12, rng)]
    width = units[0].channels  # type: ignore[union-attr]
    for _ in range(int(rng.integers(7, 16)) - 1):
        if rng.random() < 0.5:
            conv = _conv(width, WIDEST, rng)
            width = conv.channels
            units.append(conv)
        else:
            units.append(MaxPool() if rng.random() < 0.8 else AvgPool())
    return repair(units, image_shape)


def _conv(low: int, high: int, rng: np.random.Generator) -> Conv:
    return Conv(int(rng.integers(low, high + 1)), 2 * int(rng.integers(4)) + 1)


def draw_modern(rng: np.random.Generator, image_shape: ImageShape) -> Genome:
    """Draw a small network: 4 to 10 units whose width doubles, on average, at each reduction.

    A stem of 16 to 64 channels, then a reduction (strided convolution or pool) with probability
    0.3, else one of the other kinds, of the current width within a factor of the square root of 2.
    """
    width = 16.0 * 4.0 ** rng.random()
    units: list[Unit] = [NormConv(_near(width, rng), 3)]
    for _ in range(int(rng.integers(3, 10))):
        if rng.random() < 0.3:
            width *= 2.0
            units.append(_reduction(width, rng))
        else:
            kind = _BLOCKS[int(rng.integers(len(_BLOCKS)))]
            units.append(kind(_near(width, rng), _kernel(rng)))
    return repair(units, image_shape)


def _reduction(width: float, rng: np.random.Generator) -> Unit:
    match int(rng.integers(3)):
        case 0:
            return DownConv(_near(width, rng), _kernel(rng))
        case 1:
            return MaxPool()
        case _:
            return AvgPool()


def _kernel(rng: np.random.Generator) -> int:
    return 1 + 2 * int(rng.choice(3, p=[0.1, 0.7, 0.2]))


def _near(width: float, rng: np.random.Generator) -> int:
    near = float(width * 2.0 ** rng.uniform(-0.5, 0.5))
    return round(min(max(near, NARROWEST), WIDEST))
