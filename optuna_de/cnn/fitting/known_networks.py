"""Known networks that a fit begins with: bodies of the zoo, widened to the sizes of its region."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest
from statistics import fmean

import numpy as np

from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.genomes import Genome, render, repair, split_head
from optuna_de.cnn.architecture.initial import early_reductions, widened
from optuna_de.cnn.architecture.region import Region
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.architecture.units import MaxPool
from optuna_de.cnn.architecture.zoo import ZOO
from optuna_de.cnn.search.search import Known

FAMILIES = ("resnet20", "airbench94", "simpnet_300k")
"""Names of the zoo whose bodies are tried, the first ones first."""
COSTLIEST = 3.0
"""Most multiply-accumulates of a known network, in means over the initial distribution."""
_DRAWN = 100  # networks of that mean


def known_networks(space: CNNSpace, region: Region, most: int) -> Known:
    """Return names and texts of known networks that a fit can begin with, large to small.

    Each family of :data:`FAMILIES` stands for each band of sizes of the region: as it was
    published, if that is of the band's size, else with all channels scaled by one factor to the
    band's middle. Units that the space lacks are left out, the head and what stands before the
    body are the space's. Images of more than 32x32 pixels are pooled to about that size behind the
    first unit. Each band has a network before one has two. What the space cannot spell, its limits
    exclude or costs too much is left out.

    Args:
        space: Space of the search.
        region: Where it looks.
        most: Networks at most.

    Example:
        >>> region = Region(20_000, 1_000_000)
        >>> [name for name, _ in known_networks(CNNSpace(), region, 2)]
        ['resnet20 of 615,770 parameters', 'resnet20']
    """
    if not isinstance(space.head, tuple) or most < 1:
        return ()
    dearest = COSTLIEST * _mean_macs(space)
    bands = [list(_of_band(space, band, dearest)) for band in reversed(region.bands())]
    in_turn = filter(None, chain.from_iterable(zip_longest(*bands)))
    return tuple(in_turn)[:most]


def _mean_macs(space: CNNSpace) -> float:
    """Return the mean of multiply-accumulates over networks of the initial distribution."""
    rng = np.random.default_rng(0)
    return fmean(space.count_macs(space.initial(rng)) for _ in range(_DRAWN))


def _of_band(space: CNNSpace, band: tuple[int, int], dearest: float) -> Iterator[tuple[str, str]]:
    """Yield names and texts of the families that are possible in a band of sizes."""
    for family in FAMILIES:
        genome = _at_size(space, _body(space, family), band)
        size, macs = _size(space, genome), count_macs(genome, space.image_shape, space.classes)
        if band[0] <= size <= band[1] and macs <= dearest and _is_allowed(space, genome):
            published = genome == ZOO[family]
            yield family if published else f"{family} of {size:,} parameters", render(genome)


def _body(space: CNNSpace, family: str) -> Genome:
    """Return the units of a family that the space has, with pools for larger images."""
    first, *others = (unit for unit in split_head(ZOO[family])[0] if type(unit) in space.units)
    pools = [MaxPool()] * early_reductions(space.body_shape)
    return first, *pools, *others


def _at_size(space: CNNSpace, body: Genome, band: tuple[int, int]) -> Genome:
    """Return the whole network of a body, at a size of the band as far as widths allow."""
    low, high = band
    if not low <= _size(space, _whole(space, body)) <= high:
        body = widened(body, (low * high) ** 0.5, lambda b: _size(space, _whole(space, b)))
    return _whole(space, body)


def _whole(space: CNNSpace, body: Genome) -> Genome:
    assert isinstance(space.head, tuple)  # `known_networks` has asked
    return (*repair((*space.stem, *body), space.image_shape), *space.head)


def _size(space: CNNSpace, genome: Genome) -> int:
    return count_parameters(genome, space.image_shape, space.classes)


def _is_allowed(space: CNNSpace, genome: Genome) -> bool:
    """Return whether the space can spell a network, and its limits allow it."""
    try:
        return space.accept(space.encode(genome))
    except ValueError:
        return False
