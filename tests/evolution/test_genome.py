"""Laws of sequences, ranges and scalar differential evolution."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_de.evolution.genome import Choices, Gene, Interval, add, combine, difference, reflect

A1, A2, B, C = Gene("a", (("w", 1),)), Gene("a", (("w", 2),)), Gene("b"), Gene("c")
genes = st.lists(st.sampled_from([A1, A2, B, C]), max_size=8).map(tuple)


def plain_difference(a: tuple[Gene, ...], b: tuple[Gene, ...]) -> tuple[Gene | None, ...]:
    """The seed's rules 1 to 3, written out a second time."""
    out: list[Gene | None] = []
    for i in range(max(len(a), len(b))):
        if i >= len(a):
            out.append(b[i])
        elif i >= len(b):
            out.append(a[i])
        else:
            out.append(None if a[i].kind == b[i].kind else a[i])
    return tuple(out)


def test_difference_follows_the_seed_position_by_position() -> None:
    assert difference((A1, B, C), (A2, C)) == (None, B, C)
    assert difference((A1,), (B, C)) == (A1, C)


@given(genes, genes)
def test_difference_equals_a_plain_recomputation(a: tuple[Gene, ...], b: tuple[Gene, ...]) -> None:
    assert difference(a, b) == plain_difference(a, b)


@given(genes, genes, genes)
def test_add_keeps_the_length_of_best_and_changes_no_input(
    best: tuple[Gene, ...], a: tuple[Gene, ...], b: tuple[Gene, ...]
) -> None:
    before = copy.deepcopy((best, a, b))
    delta = difference(a, b)
    child = add(best, delta)
    assert len(child) == len(best)
    for i, unit in enumerate(child):
        keep = i >= len(delta) or delta[i] is None
        assert unit == (best[i] if keep else delta[i])
    assert (best, a, b) == before


@given(st.lists(st.sampled_from([A1, A2, B, C]), min_size=1).map(tuple))
def test_difference_of_equals_is_keep_and_changes_nothing(a: tuple[Gene, ...]) -> None:
    assert set(difference(a, a)) == {None}
    assert add(a, difference(a, a)) == a


INTERVALS = [
    Interval(1, 256, 1, integer=True),
    Interval(1, 256, 1, log=True, integer=True),
    Interval(1, 7, 2, integer=True),
    Interval(0, 10, 4, integer=True),
    Interval(-10.2, 10.2, 0.1),
    Interval(1e-5, 1e-1, log=True),
    Interval(-3.0, 3.0),
    Interval(5, 5, 1, integer=True),
]


@pytest.mark.parametrize("interval", INTERVALS, ids=str)
@given(unit=st.floats(0, 1))
def test_interval_maps_the_unit_interval_onto_its_grid(interval: Interval, unit: float) -> None:
    value = interval.from_unit(unit)
    assert interval.low <= value <= interval.high
    assert isinstance(value, int) or not interval.integer
    assert interval.from_unit(interval.to_unit(value)) == pytest.approx(value, rel=1e-9)
    if interval.step is not None:
        cells = (value - interval.low) / interval.step
        assert cells == pytest.approx(round(cells), abs=1e-8)


@pytest.mark.parametrize("interval", INTERVALS[:3], ids=str)
def test_integers_survive_the_round_trip_exactly(interval: Interval) -> None:
    values = range(int(interval.low), int(interval.high) + 1, int(interval.step or 1))
    assert [interval.from_unit(interval.to_unit(v)) for v in values] == list(values)


@given(st.floats(-5, 5))
def test_reflect_stays_inside_and_keeps_what_is_inside(x: float) -> None:
    assert 0 <= reflect(x) <= 1
    assert reflect(x) == pytest.approx(reflect(-x), abs=1e-12)
    if 0 <= x <= 1:
        assert reflect(x) == x


def test_combine_is_best_plus_scaled_difference() -> None:
    line = Interval(0.0, 10.0)
    assert combine(5.0, 4.0, 2.0, line, 0.5) == pytest.approx(6.0)
    assert combine(9.0, 8.0, 2.0, line, 0.5) == pytest.approx(8.0)  # 12 reflected at 10
    assert combine(5.0, 2.0, 2.0, line, 0.5) == 5.0
    assert combine(3, 8, 2, Interval(0, 10, 1, integer=True), 0.0) == 3


def test_combine_gives_categories_the_seed_rule() -> None:
    span = Choices(("x", "y", "z"))
    assert combine("x", "y", "y", span, 0.5) == "x"
    assert combine("x", "y", "z", span, 0.5) == "y"
    assert combine("x", "y", "z", None, 0.5) == "y"
