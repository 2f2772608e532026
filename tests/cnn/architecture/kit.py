"""Random architectures for the tests of units, layers and models."""

from dataclasses import fields
from random import Random

from hypothesis import strategies as st

from optuna_de.cnn.architecture.genomes import Genome, repair
from optuna_de.cnn.architecture.units import FC, GAP, GMP, UNITS, Conv, Unit

BODY = tuple(unit for unit in UNITS.values() if not unit.is_head)

channels = st.integers(2, 10**9)
kernels = st.integers(0, 10).map(lambda half: 2 * half + 1)


def _field(name: str) -> st.SearchStrategy[int]:
    return {"channels": channels, "width": channels, "kernel": kernels}.get(
        name, st.integers(1, 9)
    )


def _units(kind: type[Unit]) -> st.SearchStrategy[Unit]:
    return st.builds(kind, **{f.name: _field(f.name) for f in fields(kind)})  # type: ignore[arg-type]


bodies = st.lists(st.one_of(*map(_units, BODY)), min_size=1, max_size=12)
heads = st.tuples(
    st.lists(st.sampled_from([GAP(), GMP()]), max_size=1), st.lists(_units(FC), max_size=3)
).map(lambda head: [*head[0], *head[1]])
genomes: st.SearchStrategy[Genome] = st.builds(lambda body, head: (*body, *head), bodies, heads)
image_shapes = st.tuples(st.integers(1, 5), st.integers(2, 70), st.integers(2, 70))


def random_unit(rng: Random, kind: type[Unit]) -> Unit:
    """Draw the fields of a unit: small ones, to be built."""

    def value(name: str) -> int:
        sizes = {"channels": rng.randint(2, 40), "kernel": rng.choice((1, 3, 5, 7))}
        return sizes.get(name, rng.randint(kind.least.get(name, 1), 4))

    return kind(**{f.name: value(f.name) for f in fields(kind)})  # type: ignore[arg-type]


def random_genome(rng: Random, image_shape: tuple[int, int, int]) -> Genome:
    """Draw a repaired body of up to seven units with any of the heads."""
    head = rng.choice(((), (GAP(),), (FC(33),), (FC(40), FC(20), FC(7)), (GMP(), FC(12))))
    units = (random_unit(rng, rng.choice(BODY)) for _ in range(rng.randint(0, 6)))
    body = (Conv(rng.randint(1, 12), 3), *units)
    return (*repair(body, image_shape), *head)
