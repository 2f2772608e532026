"""Runs of CMA-ES are a function of the trials and their order, and of nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from optuna_de.evolution.cma import block_size
from optuna_de.evolution.cma_fold import (
    Ball,
    CMAFold,
    Evaluation,
    Run,
    RunRules,
    advance,
    ball_of,
    block_wanted,
    model_minimum,
    sample,
)

D = 3
BALL = Ball(at_best=False, radius=1.0)
RULES = RunRules(10, np.zeros(D))


def sphere(point: np.ndarray) -> float:
    return float(((point - 0.3) ** 2).sum())


def at(point: np.ndarray, run: int | None) -> Evaluation:
    return Evaluation(point, point, sphere(point), 0.0, run, run is not None)


def tilted(trials: list[Evaluation | None]) -> list[Evaluation | None]:
    return [
        t and Evaluation(t.point, t.place, float(t.place.sum()), 0.0, t.run, t.own) for t in trials
    ]


def a_search(size: int, seed: int = 0) -> list[Evaluation | None]:
    """Return trials that follow from each other, some of them foreign, some without a loss."""
    rng, fold = np.random.default_rng(seed), CMAFold(RULES)
    for i in range(size):
        run = fold.run
        if i % 17 == 16:
            fold.insert(i, None)
        elif run.normal is None or i % 13 == 12:
            fold.insert(i, at(rng.random(D), None if i % 13 == 12 else run.number))
        else:
            fold.insert(i, at(sample(run, rng), run.number))
    return fold.trials


def plain(trials: list[Evaluation | None]) -> Run:
    run = Run()
    for position, trial in enumerate(trials):
        run = advance(run, trial, position, RULES)
    return run


def equal(a: Run, b: Run) -> bool:
    same = a.number == b.number and a.start == b.start and a.best is b.best
    if a.normal is None or b.normal is None:
        return same and a.normal is b.normal
    return (
        same
        and len(a.block) == len(b.block)
        and all(x is y for x, y in zip(a.block, b.block, strict=True))
        and bool((a.normal.mean == b.normal.mean).all())
        and bool((a.normal.covariance == b.normal.covariance).all())
    )


@pytest.mark.parametrize("seed", range(3))
def test_trials_that_arrive_late_give_the_runs_of_the_order_of_completion(seed: int) -> None:
    trials = a_search(1000, seed)
    rng, fold = np.random.default_rng(seed), CMAFold(RULES)
    present: list[int] = []
    for i in np.argsort(np.arange(1000) + 30 * rng.random(1000)).tolist():
        position = int(np.searchsorted(present, i))
        present.insert(position, i)
        fold.insert(position, trials[i])
        if i % 5 == 0:
            assert equal(fold.run, plain(fold.trials))
    assert fold.run.number > 0
    assert equal(fold.run, plain(trials))


def test_a_trial_of_long_ago_may_still_arrive() -> None:
    trials = a_search(2000)
    fold = CMAFold(RULES)
    for position, trial in enumerate(trials[1:]):
        fold.insert(position, trial)
    assert fold.run is not None
    fold.insert(0, trials[0])
    assert equal(fold.run, plain(trials))


def test_few_states_are_kept() -> None:
    fold = CMAFold(RULES)
    for position, trial in enumerate(a_search(4000)):
        fold.insert(position, trial)
        assert fold.run is not None
    assert len(fold._kept) < 120


def test_a_run_that_has_shrunk_to_a_point_is_followed_by_another() -> None:
    trials = a_search(2000)
    last = plain(trials)
    assert last.number >= 1
    assert all(t is None or t.run in (None, 0) for t in trials[: 10 + block_size(D)])


def test_trials_of_an_older_run_do_not_count() -> None:
    trials = a_search(700)
    run = plain(trials)
    assert advance(run, at(np.full(D, 0.3), run.number - 1), 700, RULES) is run


def test_a_foreign_trial_counts_only_where_it_is_the_best() -> None:
    trials = a_search(40)
    run = plain(trials)
    worse, better = at(np.ones(D), None), at(np.full(D, 0.3), None)
    assert advance(run, worse, 40, RULES) is run
    assert advance(run, better, 40, RULES).best is better


def test_a_random_trial_that_ends_after_the_runs_start_counts_only_where_it_is_the_best() -> None:
    """Many workers ask for random trials while the first ones are evaluated."""
    run = plain(a_search(40))
    worse, better = (replace(at(np.full(D, x), 0), random=True) for x in (1.0, 0.3))
    assert advance(run, worse, 40, RULES) is run
    assert advance(run, better, 40, RULES).best is better
    assert advance(Run(), replace(worse, run=0), 0, RULES).block == (worse,)


def test_a_child_by_differences_counts_only_where_it_is_the_best_of_its_run() -> None:
    trials = a_search(40)
    run = plain(trials)
    best = np.full(D, 0.3)
    for point, number, counts in ((np.ones(D), 0, False), (best, 0, True), (best, 1, False)):
        child = Evaluation(point, point, sphere(point), 0.0, number, False)
        assert (advance(run, child, 40, RULES) is not run) == counts


def test_every_second_run_has_larger_blocks() -> None:
    sizes = [block_wanted(run, D) // block_size(D) for run in (0, 1, 2, 3, 4, 5, 99)]
    assert sizes == [1, 2, 1, 4, 1, 8, 64]
    rng = np.random.default_rng(0)
    run = Run(1)
    for position in range(10 + 2 * block_size(D)):
        assert run.normal is None or run.normal.blocks == 0
        run = advance(run, at(rng.random(D), 1), position, RULES)
    assert run.normal is not None
    assert run.normal.blocks == 1


def test_minima_that_are_planned_together_differ() -> None:
    trials = a_search(60)
    run = plain(trials)
    balls = [ball for n in range(100, 164) if (ball := ball_of(n, 63))]
    assert len(balls) == 16
    minima = [model_minimum(run, tilted(trials), ball) for ball in balls]
    assert len({tuple(point) for point in minima if point is not None}) > 4
    alone = [ball_of(number, 0) for number in range(100, 164)]
    assert {ball.radius for ball in alone if ball} == {1.0}


def test_the_models_minimum_finds_the_optimum_of_a_sphere_and_keeps_to_the_bounds() -> None:
    trials = a_search(60)
    point = model_minimum(plain(trials), trials, BALL)
    assert point is not None
    np.testing.assert_allclose(point, 0.3, atol=1e-3)
    corner = model_minimum(plain(tilted(trials[:30])), tilted(trials[:30]), BALL)
    assert corner is not None
    assert corner.min() >= 0


def test_the_model_waits_for_a_feasible_best() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((30, D))
    trials: list[Evaluation | None] = [
        Evaluation(p, p, sphere(p), 1.0 + sphere(p), 0, True) for p in points
    ]
    assert model_minimum(plain(trials), trials, BALL) is None


@pytest.mark.parametrize("loss", [np.inf, -np.inf, 1e300])
def test_losses_may_be_infinite(loss: float) -> None:
    trials = a_search(60)
    odd = Evaluation(np.full(D, 0.31), np.full(D, 0.31), loss, 0.0, 0, True)
    run = plain([*trials, *[odd] * 30])
    point = model_minimum(run, [*trials, odd], BALL) if run.normal is not None else np.zeros(D)
    assert point is None or np.isfinite(point).all()
