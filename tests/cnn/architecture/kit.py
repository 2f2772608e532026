"""Random architectures for the tests of units, layers and models."""

from collections.abc import Callable
from random import Random

from hypothesis import strategies as st

from optuna_de.cnn.architecture.units import (
    FC,
    GAP,
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

SIZED: tuple[Callable[[int, int], Unit], ...] = (
    Conv,
    NormConv,
    DownConv,
    Residual,
    Separable,
    Parallel,
)

channels = st.integers(2, 10**9)
kernels = st.integers(0, 10).map(lambda half: 2 * half + 1)
bodies = st.lists(
    st.one_of(
        st.builds(MaxPool),
        st.builds(AvgPool),
        *(st.builds(unit, channels, kernels) for unit in SIZED),
    ),
    min_size=1,
    max_size=12,
)
heads = st.tuples(
    st.lists(st.builds(GAP), max_size=1), st.lists(st.builds(FC, channels), max_size=3)
).map(lambda head: head[0] + head[1])
genomes: st.SearchStrategy[Genome] = st.builds(lambda body, head: (*body, *head), bodies, heads)
image_shapes = st.tuples(st.integers(1, 5), st.integers(2, 70), st.integers(2, 70))


def random_genome(rng: Random, image_shape: tuple[int, int, int]) -> Genome:
    """Draw a repaired body of up to seven units with any of the heads."""

    def unit() -> Unit:
        chosen = rng.choice((*SIZED, *SIZED, None))
        if chosen is None:
            return rng.choice((MaxPool(), AvgPool()))
        return chosen(rng.randint(2, 40), rng.choice((1, 3, 5, 7)))

    head = rng.choice(((), (GAP(),), (FC(33),), (FC(40), FC(20), FC(7)), (GAP(), FC(12))))
    body = (Conv(rng.randint(1, 12), 3), *(unit() for _ in range(rng.randint(0, 6))))
    return (*repair(body, image_shape), *head)
