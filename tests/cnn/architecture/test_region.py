"""The region of interest: its text, its bands, its default, and what is no region."""

from itertools import pairwise

import numpy as np
import pytest

from optuna_de.cnn import CNNSpace
from optuna_de.cnn.architecture.prices import PARAMETERS, Limit
from optuna_de.cnn.architecture.region import (
    Region,
    default_region,
    parse_sizes,
    read_region,
)


def test_the_recorded_text_is_read_back() -> None:
    region = Region(20_000, 1_000_000, 0.45)
    assert region.text == "20,000 to 1,000,000 parameters, error up to 45.00 %"
    assert read_region(region.text) == region
    for foreign in (None, 7, "", "9 to 1 parameters, error up to 5 %", "everything"):
        assert read_region(foreign) is None


def test_bands_join_and_span_about_a_factor_of_three() -> None:
    bands = Region(20_000, 1_000_000).bands()
    assert (bands[0][0], bands[-1][1], len(bands)) == (20_000, 1_000_000, 4)
    assert all(a[1] == b[0] for a, b in pairwise(bands))
    assert Region(5, 5).bands() == ((5, 5),)


@pytest.mark.parametrize(
    ("text", "sizes"), [("20k,1M", (20_000, 1_000_000)), ("1.5k, 3000", (1_500, 3_000))]
)
def test_sizes_are_parsed(text: str, sizes: tuple[int, int]) -> None:
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", "20k", "1M,20k", "0,5", "a,b", "1k,2k,3k", "-1,5", "1G,2G"])
def test_what_is_no_pair_of_sizes_is_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^between must be two numbers .* is '.*'\.$"):
        parse_sizes(text)


def test_bad_regions_are_refused() -> None:
    for low, high, error in ((0, 5, 0.5), (6, 5, 0.5), (1, 5, 0.0), (1, 5, 1.1)):
        with pytest.raises(ValueError, match="must be"):
            Region(low, high, error)


def test_the_default_follows_the_task() -> None:
    assert default_region((3, 32, 32), 10, 45_000, 0.9) == Region(20_000, 1_000_000, 0.45)
    small, large = (default_region((3, n, n), 3, 480, 0.6) for n in (8, 64))
    assert small.max_parameters < large.max_parameters == 200_000
    assert default_region((1, 28, 28), 1000, 10_000, 0.999).min_parameters == 100_000


def test_first_networks_are_spread_over_the_sizes() -> None:
    space = CNNSpace(min_parameters=20_000, limits=(Limit(PARAMETERS, 1_000_000),))
    rng = np.random.default_rng(0)
    sizes = [space.count_parameters(space.initial(rng)) for _ in range(60)]
    inside = [n for n in sizes if 20_000 <= n <= 1_000_000]
    assert len(inside) >= 50
    assert min(sum(a <= n < b for n in inside) for a, b in Region(20_000, 1_000_000).bands()) >= 6
