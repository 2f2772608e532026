"""Initial distributions of network bodies: the seed's, and one of small networks. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

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

    A stem of 16 to 64 channels, then 3 to 9 units of the current width within a factor of the
    square root of 2; the width doubles at each unit that halves the side. So many do that the last
    side is 4 to 8 pixels (a quarter to a half of a side below 16), and they are spread over the
    body: one at a random place of each of as many equal parts. Images of more than 32x32 pixels
    have narrower stems, and are reduced to about that size right behind them.

    Args:
        rng: Random generator.
        image_shape: ``(channels, height, width)``.
        units: Kinds to draw from, some that halve the side and some that do not.
    """
    early, later = _reductions(image_shape, rng)
    places = [True] * early + _spread(later, max(int(rng.integers(3, 10)), later), rng)
    width = 16.0 * 4.0 ** rng.random() / 2**early
    return _sampled(places, width, rng, image_shape, units)


def sample_modern_1(
    rng: np.random.Generator, image_shape: ImageShape, units: Sequence[type[Unit]]
) -> Genome:
    """Sample a body as version 1 did, whatever the side: a unit halves it with probability 0.3.

    It takes the arguments of :func:`sample_modern`.
    """
    width = 16.0 * 4.0 ** rng.random()
    return _sampled(_places_1(rng), width, rng, image_shape, units)


def _places_1(rng: np.random.Generator) -> Iterator[bool]:
    """Yield version 1's places; the stem, then each unit is drawn between its numbers."""
    for _ in range(int(rng.integers(3, 10))):
        yield rng.random() < 0.3


MODERN_SAMPLERS = {1: sample_modern_1, 2: sample_modern}
"""Initial distributions of small networks, by version; a study keeps the one it began with."""


def early_reductions(image_shape: ImageShape) -> int:
    """Return how often images are halved right behind the stem, to about 32x32 pixels."""
    _, height, width = image_shape
    return max(0, round(math.log2(height * width / 32**2) / 2))


def _reductions(image_shape: ImageShape, rng: np.random.Generator) -> tuple[int, int]:
    """Draw how many units shall halve the side, right behind the stem and further on."""
    side = min(image_shape[1:])
    most = math.log2(side / min(4.0, side / 4))
    wanted = int(rng.integers(math.ceil(most - 1), math.floor(most) + 1))
    early = min(early_reductions(image_shape), wanted)
    return early, wanted - early


def _spread(count: int, places: int, rng: np.random.Generator) -> list[bool]:
    """Mark so many of the places: one, at random, of each of as many equal parts."""
    ends = [part * places // count for part in range(count + 1)] if count else []
    chosen = {int(rng.integers(a, b)) for a, b in pairwise(ends)}
    return [place in chosen for place in range(places)]


def _sampled(
    places: Iterable[bool],
    width: float,
    rng: np.random.Generator,
    image_shape: ImageShape,
    units: Sequence[type[Unit]],
) -> Genome:
    """Sample a stem and a unit for each place, one that halves the side where it is True."""
    reductions = [kind for kind in units if _halves(kind)]
    others = [kind for kind in units if not _halves(kind)]
    body: list[Unit] = [NormConv(_near(width, rng), 3)]
    for reduces in places:
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
