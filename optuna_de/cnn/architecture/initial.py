"""Initial distributions of network bodies: the seed's, and one of small networks. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from optuna.distributions import BaseDistribution

from optuna_de.cnn.architecture.genomes import Genome, repair, side_after
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.units import (
    KERNELS,
    NARROWEST,
    WIDEST,
    AvgPool,
    Conv,
    MaxPool,
    NormConv,
    Unit,
)
from optuna_de.evolution.genome import Value
from optuna_de.evolution.variation import draw
from optuna_de.search_space.distributions import range_of

_HALVINGS = 10  # of the logarithm of a width's factor: to one percent


def sample_seed(rng: np.random.Generator, image_shape: ImageShape) -> Genome:
    """Sample from the seed's initial distribution: 7 to 15 slots, widths that never fall.

    The first slot is a convolution of 5 to 12 channels; every other one is, with probability 0.5
    each, a convolution of at least the width before it, or a pool (maximum 0.8, average 0.2). A
    pool is dropped if the side is 2 already.
    """
    units: list[Unit] = [first := _conv(5, 12, rng)]
    width = first.channels
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


def sample_modern(
    rng: np.random.Generator, image_shape: ImageShape, units: Sequence[type[Unit]]
) -> Genome:
    """Sample a body from the initial distribution of small networks.

    It has 4 to 10 units, and its width doubles, on average, at each reduction. A stem of 16 to 64
    channels, then a unit that halves the side with probability 0.3, else one of the others, of the
    current width within a factor of the square root of 2.

    Args:
        rng: Random generator.
        image_shape: ``(channels, height, width)``.
        units: Kinds to draw from, some that halve the side and some that do not.
    """
    width = 16.0 * 4.0 ** rng.random()
    reductions = [kind for kind in units if _halves(kind)]
    others = [kind for kind in units if not _halves(kind)]
    body: list[Unit] = [NormConv(_near(width, rng), 3)]
    for _ in range(int(rng.integers(3, 10))):
        reduces = rng.random() < 0.3
        width *= 1.0 + reduces
        kinds = reductions if reduces else others
        body.append(_unit(kinds[int(rng.integers(len(kinds)))], width, rng))
    return repair(body, image_shape)


def widened(body: Genome, size: float, count: Callable[[Genome], int]) -> Genome:
    """Return a body whose channels are scaled by one factor towards a number of parameters.

    Args:
        body: Units.
        size: Parameters that the network shall have; it stays as near as widths allow.
        count: Parameters of a network with such a body.
    """
    low, high = -6.0, 6.0  # logarithms to the base 2 of the factor
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if count(_scaled(body, 2.0**middle)) > size:
            high = middle
        else:
            low = middle
    return _scaled(body, 2.0**low)


def _scaled(body: Genome, factor: float) -> Genome:
    return tuple(
        replace(unit, channels=round(min(max(channels * factor, NARROWEST), WIDEST)))  # type: ignore[type-var]
        if (channels := getattr(unit, "channels", None)) is not None
        else unit
        for unit in body
    )


def _halves(kind: type[Unit]) -> bool:
    smallest = {name: range_of(d).low for name, d in kind.distributions.items()}  # type: ignore[union-attr]
    return side_after(kind(**smallest), 32) < 32


def _unit(kind: type[Unit], width: float, rng: np.random.Generator) -> Unit:
    return kind(**{n: _value(n, d, width, rng) for n, d in kind.distributions.items()})


def _value(
    name: str, distribution: BaseDistribution, width: float, rng: np.random.Generator
) -> Value:
    if name == "channels":
        return _near(width, rng)
    if distribution == KERNELS:
        return 1 + 2 * int(rng.choice(3, p=[0.1, 0.7, 0.2]))
    return draw(range_of(distribution), rng)


def _near(width: float, rng: np.random.Generator) -> int:
    near = float(width * 2.0 ** rng.uniform(-0.5, 0.5))
    return round(min(max(near, NARROWEST), WIDEST))
