"""CMA-ES and the quadratic model against the published equations and known minima."""

import cmaes
import numpy as np
import pytest

from optuna_de.evolution import cma
from optuna_de.evolution.cma import adapt, block_size, isotropic, strategy_parameters
from optuna_de.evolution.quadratic_model import Quadratic, fit, minimum, points_wanted

NO_FLOOR, NO_CAP = 0.0, np.inf


@pytest.mark.parametrize("dimension", [2, 5, 20])
def test_an_adaptation_equals_that_of_the_cmaes_package(dimension: int) -> None:
    """The library neither shortens steps nor bounds them, so the blocks are near the mean."""
    rng = np.random.default_rng(dimension)
    mean, size = rng.random(dimension), block_size(dimension)
    peer = cmaes.CMA(mean=mean, sigma=0.3, population_size=size)
    ours = isotropic(mean, 0.3)
    for _ in range(30):
        points = ours.colour(np.clip(rng.standard_normal((size, dimension)), -1, 1))
        losses = (points**2) @ 10.0 ** np.linspace(0, 3, dimension)
        peer.tell(list(zip(points, losses.tolist(), strict=True)))
        floor = np.full(dimension, NO_FLOOR)
        ours = adapt(ours, points[np.argsort(losses)], floor, NO_CAP)
        np.testing.assert_allclose(ours.mean, peer.mean, rtol=1e-6)
        np.testing.assert_allclose(ours.step_size, peer._sigma, rtol=1e-6)
        np.testing.assert_allclose(ours.covariance, peer._C, rtol=1e-6, atol=1e-9)


def sphere_after(dimension: int, blocks: int) -> float:
    rng = np.random.default_rng(0)
    normal = isotropic(np.full(dimension, 0.8), 0.3)
    for _ in range(blocks):
        white = rng.standard_normal((block_size(dimension), dimension))
        points = normal.colour(white)
        ranked = points[np.argsort(((points - 0.3) ** 2).sum(axis=1))]
        normal = adapt(normal, ranked, np.zeros(dimension), 0.5)
    return float(np.abs(normal.mean - 0.3).max())


def test_a_diagonal_covariance_converges_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sphere_after(10, 200) < 1e-6
    monkeypatch.setattr(cma, "SEPARABLE", 5)
    strategy_parameters.cache_clear()
    assert sphere_after(10, 200) < 1e-6
    strategy_parameters.cache_clear()


def test_deviations_stay_between_the_floor_and_the_cap() -> None:
    rng = np.random.default_rng(1)
    normal, floor = isotropic(np.full(3, 0.5), 0.3), np.array([0.1, 0.0, 0.0])
    for _ in range(40):
        points = normal.colour(0.1 * rng.standard_normal((8, 3)))
        normal = adapt(normal, points, floor, 0.5)
    assert normal.deviations[0] >= 0.1 * (1 - 1e-9)
    assert normal.deviations[1] < 0.1
    wide = normal
    for step in range(40):
        wide = adapt(wide, np.full((8, 3), 1e3 * step), floor, 0.5)
        assert wide.deviations.max() <= 0.5 * (1 + 1e-9)


def test_a_far_point_is_shortened() -> None:
    normal = isotropic(np.zeros(4), 1.0)
    moved = adapt(normal, np.full((6, 4), 1e6), np.zeros(4), np.inf)
    assert np.linalg.norm(moved.mean) <= 2 + 8 / 6 + 1e-9


@pytest.mark.parametrize("dimension", [1, 2, 7])
def test_the_model_of_a_quadratic_has_its_minimum(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    root = rng.standard_normal((dimension, dimension))
    hessian, best = root @ root.T + np.eye(dimension), 0.3 * rng.random(dimension)
    points = rng.standard_normal((points_wanted(dimension), dimension))
    losses = np.einsum("ni,ij,nj->n", points - best, hessian, points - best)
    model = fit(points, losses)
    assert model is not None
    z, multiplier = minimum(model, 10.0)
    np.testing.assert_allclose(z, best, atol=1e-5)
    assert multiplier == 0


def test_few_points_give_a_simple_model_or_none() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((30, 5))
    assert fit(points[:5], points[:5, 0]) is None
    assert fit(points, np.ones(30)) is None
    linear, full = fit(points[:7], points[:7, 0]), fit(points, points[:, 0])
    assert linear is not None
    assert full is not None
    assert not linear.hessian.any()
    assert np.argmax(np.abs(linear.gradient)) == 0


@pytest.mark.parametrize("seed", range(20))
def test_the_minimum_in_a_ball_is_no_worse_than_any_point_of_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((4, 4))
    gradient = np.zeros(4) if seed == 0 else rng.standard_normal(4)
    model = Quadratic(gradient, root + root.T)

    def value(z: np.ndarray) -> np.ndarray:
        curved = np.einsum("ni,ij,nj->n", z, model.hessian, z) / 2
        return np.asarray(z @ model.gradient + curved)

    z, _ = minimum(model, 1.5)
    tries = rng.standard_normal((5000, 4))
    tries *= 1.5 * rng.random((5000, 1)) / np.linalg.norm(tries, axis=1, keepdims=True)
    assert np.linalg.norm(z) <= 1.5 * (1 + 1e-9)
    assert value(z[None])[0] <= value(tries).min() + 1e-3
