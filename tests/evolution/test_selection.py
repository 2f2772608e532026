"""Order and survivors, checked against plain recomputations."""

import numpy as np
import pytest

from optuna_de.evolution.pareto import crowding_distances, pareto_ranks
from optuna_de.evolution.selection import order, weighted_scores


def points(losses: np.ndarray) -> list[tuple[float, ...]]:
    return [tuple(row) for row in losses.tolist()]


def plain_ranks(losses: np.ndarray) -> list[int]:
    ranks = [-1] * len(losses)
    rank = 0
    while -1 in ranks:
        rest = [i for i, r in enumerate(ranks) if r == -1]
        front = [
            i
            for i in rest
            if not any(
                (losses[j] <= losses[i]).all() and (losses[j] < losses[i]).any() for j in rest
            )
        ]
        for i in front:
            ranks[i] = rank
        rank += 1
    return ranks


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_ranks_equal_a_plain_recomputation(seed: int, m: int) -> None:
    losses = np.random.default_rng(seed).integers(0, 5, (30, m)).astype(float)
    assert pareto_ranks(points(losses)) == plain_ranks(losses)


def test_crowding_is_infinite_at_the_ends_and_adds_normalised_gaps() -> None:
    losses = [(0.0, 4.0), (1.0, 2.0), (3.0, 1.0), (4.0, 0.0)]
    assert crowding_distances(losses) == [np.inf, 3 / 4 + 3 / 4, 3 / 4 + 2 / 4, np.inf]


def test_pareto_order_prefers_rank_then_spread() -> None:
    losses = np.array([[2.0, 2.0], [0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]])
    assert order(points(losses)) == [1, 4, 2, 3, 0]


def test_weighted_order_is_the_seed_score() -> None:
    losses = np.array([[0.5, 100.0], [0.1, 300.0], [0.9, 200.0]])
    normed = np.array([[0.5, 0.0], [0.0, 1.0], [1.0, 0.5]])
    assert weighted_scores(points(losses), (0.7, 0.3)) == pytest.approx(normed @ [0.7, 0.3])
    assert order(points(losses), weights=(0.7, 0.3)) == [1, 0, 2]


def test_weighted_score_of_equal_losses_is_zero_and_ties_keep_their_order() -> None:
    losses = np.full((4, 2), 3.0)
    assert weighted_scores(points(losses), (0.7, 0.3)) == [0.0] * 4
    assert order(points(losses), weights=(0.7, 0.3)) == [0, 1, 2, 3]


def test_one_objective_is_ordered_by_value() -> None:
    assert order([(3.0,), (1.0,), (np.inf,), (-np.inf,)]) == [3, 1, 0, 2]


def test_feasible_come_first_then_least_violation() -> None:
    losses = np.array([[0.0, 0.0], [5.0, 5.0], [1.0, 1.0], [2.0, 2.0]])
    violations = np.array([2.0, 0.0, 1.0, 0.0])
    assert order(points(losses), violations=violations.tolist()) == [3, 1, 2, 0]


@pytest.mark.parametrize("weights", [None, (1.0, 1.0)])
def test_infinite_losses_sort_last_without_a_warning(weights: tuple[float, ...] | None) -> None:
    losses = np.array([[np.inf, np.inf], [1.0, 2.0], [2.0, 1.0], [np.inf, 1.5]])
    ranking = order(points(losses), weights=weights)
    assert set(ranking[:2]) == {1, 2}
    assert ranking[-1] == 0


def test_all_infinite_is_an_order_too() -> None:
    assert sorted(order([(np.inf, np.inf)] * 3)) == [0, 1, 2]
