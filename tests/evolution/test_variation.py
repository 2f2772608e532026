"""Children: inherited genes, open and closed gene pools, and untouched parents."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_de.evolution.genome import Choices, Gene, Genome, Interval
from optuna_de.evolution.variation import (
    Alphabet,
    Catalog,
    Variation,
    draw,
    polynomial_steps,
    random_unit,
    vary,
)

ALPHABET = Alphabet(
    Interval(2, 6, 1, integer=True),
    (("conv",), ("conv", "pool")),
    {
        "conv": {
            "c": Interval(1, 256, 1, log=True, integer=True),
            "k": Interval(1, 7, 2, False, True),
        }
    },
)
CATALOG = Catalog(
    {"lr": Interval(1e-4, 1.0, log=True), "act": Choices(("relu", "tanh", "elu"))},
    {"layers": ALPHABET},
)
CLOSED = Variation(scale=0.0, crossover=1.0, mutation=0.0)


def conv(c: int, k: int) -> Gene:
    return Gene("conv", (("c", c), ("k", k)))


POOL = Gene("pool")
tails = st.lists(
    st.one_of(st.just(POOL), st.builds(conv, st.integers(1, 256), st.sampled_from([1, 3, 5, 7]))),
    min_size=1,
    max_size=5,
)
genomes = st.builds(
    lambda lr, act, c, tail: Genome({"lr": lr, "act": act}, {"layers": (conv(c, 3), *tail)}),
    st.floats(1e-4, 1.0),
    st.sampled_from(["relu", "tanh", "elu"]),
    st.integers(1, 256),
    tails,
)
seeds = st.integers(0, 2**32)


def is_legal(genome: Genome) -> bool:
    units = genome.sequences["layers"]
    spans = ALPHABET.attributes
    return (
        2 <= len(units) <= 6
        and all(u.kind in ALPHABET.allowed(i) for i, u in enumerate(units))
        and all(spans[u.kind][n].clip(v) == v for u in units for n, v in u.attributes)  # type: ignore[union-attr,arg-type]
    )


@given(genomes, genomes, genomes, seeds, st.floats(0, 2), st.floats(0, 1), st.floats(0, 9))
def test_children_are_legal_and_parents_untouched(
    best: Genome, a: Genome, b: Genome, seed: int, scale: float, crossover: float, mutation: float
) -> None:
    before = copy.deepcopy((best, a, b))
    variation = Variation(scale, crossover, mutation)
    child = vary((best, a, b), CATALOG, variation, np.random.default_rng(seed))
    assert is_legal(child)
    assert set(child.flat) == {"lr", "act"}
    assert (best, a, b) == before
    again = vary((best, a, b), CATALOG, variation, np.random.default_rng(seed))
    assert child == again


@given(genomes, genomes, genomes, seeds)
def test_a_closed_gene_pool_only_exchanges_units_over_the_length_of_best(
    best: Genome, a: Genome, b: Genome, seed: int
) -> None:
    child = vary((best, a, b), CATALOG, CLOSED, np.random.default_rng(seed))
    parents = [p.sequences["layers"] for p in (best, a, b)]
    assert len(child.sequences["layers"]) == len(parents[0])
    for i, unit in enumerate(child.sequences["layers"]):
        assert unit in [p[i] for p in parents if i < len(p)]


def test_attributes_of_units_that_agree_in_kind_move_by_the_scaled_difference() -> None:
    line = Alphabet(
        Interval(1, 3, 1, integer=True), (("fc",),), {"fc": {"w": Interval(0.0, 10.0)}}
    )
    best, a, b = (Genome({}, {"s": (Gene("fc", (("w", w),)),)}) for w in (5.0, 9.0, 3.0))
    child = vary(
        (best, a, b), Catalog({}, {"s": line}), Variation(0.5, 1.0, 0.0), np.random.default_rng(0)
    )
    assert child.sequences["s"][0].attributes == (("w", 8.0),)


@pytest.mark.parametrize("seed", range(20))
def test_a_forced_edit_changes_a_child_of_equal_parents(seed: int) -> None:
    parent = Genome({"act": "relu"}, {})
    catalog = Catalog({"act": Choices(tuple("abcdefghij"))}, {})
    child = vary((parent,) * 3, catalog, CLOSED, np.random.default_rng(seed), forced=1)
    assert child.flat["act"] != "relu"


def test_edits_insert_remove_and_replace_so_that_length_and_pool_stay_open() -> None:
    parent = Genome({}, {"layers": (conv(8, 3), POOL, conv(16, 5))})
    children = [
        vary((parent,) * 3, Catalog({}, CATALOG.sequences), Variation(0.5, 1, 1.0), rng)
        for rng in map(np.random.default_rng, range(300))
    ]
    lengths = {len(c.sequences["layers"]) for c in children}
    assert {2, 3, 4} <= lengths
    pool = {u for c in children for u in c.sequences["layers"]}
    assert len(pool) > 50


def test_the_expected_number_of_edits_is_the_mutation_rate() -> None:
    parent = Genome({f"x{i}": 0.5 for i in range(20)}, {})
    spans = Catalog({f"x{i}": Interval(0.0, 1.0) for i in range(20)}, {})
    changed = [
        sum(
            v != 0.5
            for v in vary((parent,) * 3, spans, Variation(0.5, 0.9, 2.0), rng).flat.values()
        )
        for rng in map(np.random.default_rng, range(2000))
    ]
    assert np.mean(changed) == pytest.approx(2.0, abs=0.15)


def test_a_conditional_gene_is_inherited_from_the_parent_that_has_it() -> None:
    best, a, b = Genome({"x": 1}, {}), Genome({"x": 1, "y": 7}, {}), Genome({"x": 1, "z": 9}, {})
    child = vary((best, a, b), Catalog({}, {}), CLOSED, np.random.default_rng(0))
    assert child.flat == {"x": 1, "y": 7, "z": 9}


def test_draws_cover_ranges() -> None:
    rng = np.random.default_rng(0)
    assert {draw(Choices(("a", "b")), rng) for _ in range(50)} == {"a", "b"}
    assert {draw(Interval(1, 7, 2, False, True), rng) for _ in range(100)} == {1, 3, 5, 7}
    assert {random_unit(0, ALPHABET, rng).kind for _ in range(20)} == {"conv"}
    assert {random_unit(1, ALPHABET, rng).kind for _ in range(50)} == {"conv", "pool"}


def test_with_a_base_numbers_move_from_it_and_all_others_stay_with_the_best() -> None:
    catalog = Catalog({"x": Interval(0, 1), "c": Choices(("a", "b", "d"))}, {})
    parents = tuple(Genome({"x": x, "c": "d"}, {}) for x in (0.1, 0.5, 0.5))
    base = Genome({"x": 0.8, "c": "a"}, {})
    rng = np.random.default_rng(0)
    best, a, b = parents
    whole = vary((best, a, b), catalog, Variation(0.7, 1.0, 0.0), rng, base=base)
    assert whole.flat == {"x": 0.8, "c": "d"}
    kept = vary((best, a, b), catalog, Variation(0.7, 0.0, 0.0), rng, base=base)
    assert kept == best
    apart = Genome({"x": 0.4, "c": "d"}, {})
    moves = [
        vary((best, a, apart), catalog, Variation(0.7, 1.0, 0.0), rng, base=base).flat["x"]
        for _ in range(200)
    ]
    assert 0.8 <= min(moves) < 0.81  # type: ignore[operator,type-var]
    assert 0.88 < max(moves) <= 0.89 + 1e-12  # type: ignore[operator,type-var]


def test_polynomial_steps_are_short_symmetric_and_within_one() -> None:
    steps = polynomial_steps(np.linspace(0, 1, 1001)[:-1])
    assert np.abs(steps).max() <= 1
    assert np.median(np.abs(steps)) < 0.05
    assert steps[100] == pytest.approx(-steps[900])


def test_an_index_moves_some_numbers_a_little_and_nothing_else() -> None:
    span, names = Interval(0.0, 1.0), [f"x{i}" for i in range(10)]
    catalog = Catalog({**dict.fromkeys(names, span), "c": Choices(("a", "b"))}, {})
    parent = Genome({**dict.fromkeys(names, 0.5), "c": "a"}, {})
    moved = 0
    for seed in range(20):
        plain, little = (
            vary(
                (parent, parent, parent),
                catalog,
                Variation(scale=0.7, crossover=0.5, mutation=2.0),
                np.random.default_rng(seed),
                index=index,
            )
            for index in (None, 20.0)
        )
        assert plain.flat["c"] == little.flat["c"]
        gaps = [abs(plain.flat[n] - little.flat[n]) for n in names]  # type: ignore[operator]
        moved += sum(gap > 0 for gap in gaps)
        assert max(gaps) < 0.5
    assert 15 < moved < 60
