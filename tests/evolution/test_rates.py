"""Rates of crossover and mutation: their memory, and the draw of a child's."""

import numpy as np
import pytest

from optuna_de.evolution.rates import LEAST, MOST, PRIOR, Rates, memory, near

FIRST = Rates(0.5, 1.0)


def test_the_memory_moves_from_the_first_rates_to_those_of_the_survivors() -> None:
    assert memory(FIRST, []) == FIRST
    half = memory(FIRST, [Rates(0.9, 3.0)] * int(PRIOR))
    assert (half.crossover, half.mutation) == pytest.approx((0.7, 2.0))
    assert memory(FIRST, [Rates(0.9, 3.0)] * 1000).crossover > 0.89


def test_draws_are_near_the_memory_and_within_their_bounds() -> None:
    rng = np.random.default_rng(0)
    drawn = [near(FIRST, rng) for _ in range(500)]
    crossovers, mutations = ([getattr(r, n) for r in drawn] for n in ("crossover", "mutation"))
    assert np.mean(crossovers) == pytest.approx(0.5, abs=0.02)
    assert np.mean(mutations) == pytest.approx(1.0, abs=0.06)
    assert 0.08 < np.std(crossovers) < 0.12
    for centre in (Rates(0.01, 0.01), Rates(1.0, 10.0)):
        for rates in (near(centre, rng) for _ in range(50)):
            assert LEAST <= rates.crossover <= 1
            assert LEAST <= rates.mutation <= MOST


def test_a_rate_of_0_keeps_the_gene_pool_closed() -> None:
    assert near(Rates(0.0, 0.0), np.random.default_rng(0)) == Rates(0.0, 0.0)
