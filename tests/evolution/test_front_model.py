"""The front model: its pool, its interpolation, and which child it prefers."""

import numpy as np
import pytest

from optuna_de.evolution.front_model import (
    NEAR,
    Array,
    Known,
    expected_gains,
    interpolate,
    on_grid,
    pool_of_children,
    prefer,
)
from optuna_de.evolution.variation import Variation

RNG = np.random.default_rng(0)
PLAIN = Variation(scale=0.7, crossover=0.5, mutation=0.5)


def known(xs: Array, ys: tuple[float, ...], *, bound: bool = False) -> Known:
    """Losses are (x, 1 - x + y): the lower y the better; feasible where x is at least .5."""
    x, y = np.repeat(xs, len(ys)), np.tile(ys, len(xs))
    constraints = [0.5 - x] if bound else []
    return Known(np.c_[x, y], np.column_stack([x, 1 - x + y, *constraints]), 2)


XS = np.linspace(0, 1, 11)


@pytest.mark.parametrize("d", [2, NEAR + 1])
def test_the_interpolation_is_exact_at_the_trials_and_between_those_of_a_plane(d: int) -> None:
    places = RNG.random((40, d))
    values = np.c_[np.sin(9 * places[:, 0]), 1e6 * places[:, 1], np.ones(40)]
    assert interpolate(places, values, places) == pytest.approx(values, rel=1e-3, abs=1e-3)
    if d <= NEAR:
        wanted = RNG.random((5, d))
        smooth = interpolate(places, values, wanted)
        assert smooth[:, 1] == pytest.approx(1e6 * wanted[:, 1], rel=1e-2)


def test_children_are_in_the_cube_and_on_the_grid_and_differ() -> None:
    cells = np.array([0.0, 0.25, 0.0])
    pool = pool_of_children(RNG.random((20, 3)), 5, PLAIN, cells, np.random.default_rng(1))
    assert ((pool >= 0) & (pool <= 1)).all()
    assert set(pool[:, 1]) <= {0.125, 0.375, 0.625, 0.875}
    assert len(np.unique(pool[:, 0])) > 20
    assert on_grid(np.array([[1.0, 1.0]]), np.array([0.5, 0.0])).tolist() == [[0.75, 1.0]]


def test_as_many_numbers_move_a_little_as_are_drawn_anew() -> None:
    variation = Variation(scale=0.7, crossover=0.0, mutation=1.0)
    members, cells = np.full((8, 4), 0.5), np.zeros(4)
    child = pool_of_children(members, 4, variation, cells, np.random.default_rng(0))
    moved = np.abs(child - 0.5)
    assert ((moved > 0) & (moved < 0.05)).mean() > 0.08
    assert (moved > 0.1).mean() > 0.1


def test_without_edits_and_crossover_children_are_the_best_members() -> None:
    members = RNG.random((20, 3))
    still = Variation(scale=0.7, crossover=0.0, mutation=0.0)
    pool = pool_of_children(members, 2, still, np.zeros(3), np.random.default_rng(0))
    assert {tuple(child) for child in pool} == {tuple(member) for member in members[:2]}


@pytest.mark.parametrize(("m", "best"), [(2, 0), (3, 0), (4, 0)])
def test_a_dominating_child_gains_most(m: int, best: int) -> None:
    front = np.eye(m) + 0.2
    gains = expected_gains(front, np.array([[0.3] * m, [1.05] * m, [2.0] * m]))
    assert gains.argmax() == best
    assert gains[2] <= 0


def test_the_child_that_improves_the_front_is_preferred_and_feasible_ones_come_first() -> None:
    pool = np.array([[0.4, 0.9], [0.45, 0.0], [0.6, 0.4]])
    rng, none = np.random.default_rng(0), np.zeros((0, 2))
    assert prefer(pool, known(XS, (0.5, 1.0)), known(XS, (0.5,)), none, rng)[0] == 1
    bound = known(XS, (0.5, 1.0), bound=True)
    assert prefer(pool, bound, known(XS, (0.5,), bound=True), none, rng)[0] == 2
    outside = known(XS[:4], (0.5,), bound=True)
    assert prefer(pool, bound, outside, none, rng) == [2, 1, 0]  # no member is feasible


def test_a_running_trial_is_not_repeated() -> None:
    free, members = known(XS, (0.5, 1.0)), known(XS, (0.5,))
    pool, none = np.array([[0.45, 0.0], [0.9, 0.1]]), np.zeros((0, 2))
    assert prefer(pool, free, members, none, np.random.default_rng(0))[0] == 0
    running = np.array([[0.45, 0.0]])
    assert prefer(pool, free, members, running, np.random.default_rng(0))[0] == 1
