"""The models of unknown losses: what they are fitted to, and on which scale they answer."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.gaussian_process.kernels import Matern

from optuna_de.evolution.genome import Choices, Gene, Genome, Interval
from optuna_de.evolution.variation import Alphabet, Catalog
from optuna_de.screening.features import features
from optuna_de.screening.gaussian_process import Array, Model
from optuna_de.screening.surrogate import LENGTHS, NOISES, Surrogate
from optuna_de.screening.transforms import Stretch

FLAT = Catalog({"x": Interval(0, 1), "op": Choices(("a", "b", "c"))}, {})
WIDE = Catalog({"x": Interval(0, 1000), "op": Choices(("a", "b", "c"))}, {})


def genomes(n: int) -> list[Genome]:
    rng = np.random.default_rng(3)
    return [Genome({"x": float(rng.random()), "op": "abc"[rng.integers(3)]}, {}) for _ in range(n)]


def logarithms(genomes: list[Genome]) -> Array:
    """Return log losses (n, 2); the second falls with the place of the operation alone."""
    x = np.array([float(g.flat["x"]) for g in genomes])  # type: ignore[arg-type]
    op = np.array(["abc".index(str(g.flat["op"])) for g in genomes])
    return np.log(np.column_stack([0.05 + (x - 0.3) ** 2 + 0.2 * op, 1.0 + op]))


def surrogate(genomes: list[Genome], **changes: Any) -> Surrogate:
    options: dict[str, Any] = {
        "logarithmic": (True, True),
        "catalog": FLAT,
        "prices": (),
        "smoothness": 1.5,
        "limit": 300,
        "memo": {},
    }
    return Surrogate(genomes, logarithms(genomes), **(options | changes))


@pytest.mark.parametrize("logarithmic", [True, False])
def test_estimates_are_those_of_a_model_of_stretched_losses(logarithmic: bool) -> None:
    seen = surrogate(genomes(30), logarithmic=(logarithmic, True))
    rows = seen.rows(genomes(50)[30:], np.zeros((20, 0)))
    estimates = seen.estimate(0, rows, running=8, optimism=1.0)
    assert estimates is not None
    losses = seen.losses[:, 0]
    stretch = Stretch.of(losses, logarithmic)
    model = Model.fit(rows[:30], stretch.forward(losses), 1.5, seen._theta(0))
    smooth, waiting = model.predict(rows[:30])[0], model.predict(rows[30:38])[0]
    mean, deviation = model.believing(rows[30:38], waiting).predict(rows[38:])
    for part, mine in zip(estimates, (smooth, waiting, mean - deviation), strict=True):
        np.testing.assert_allclose(part, stretch.backward(mine))
    np.testing.assert_allclose(estimates[0], losses, atol=0.3)


@pytest.mark.parametrize("smoothness", [0.5, 1.5, 2.5])
def test_length_and_noise_are_the_likeliest_of_the_grid(smoothness: float) -> None:
    seen = surrogate(genomes(30), smoothness=smoothness)
    x, losses = features(genomes(30), FLAT), seen.losses[:, 0]
    y = Stretch.of(losses).forward(losses)
    y = (y - y.mean()) / y.std()

    def likelihood(theta: tuple[float, float]) -> float:
        kernel = Matern(theta[0], nu=smoothness)(x) + theta[1] * np.eye(30)
        kernel *= (y @ np.linalg.solve(kernel, y)) / 30
        return float(multivariate_normal(cov=kernel).logpdf(y))

    assert seen._theta(0) == max(product(LENGTHS, NOISES), key=likelihood)


def test_a_memo_is_for_one_objective_and_one_catalog_and_lasts_some_trials() -> None:
    memo: dict[Any, Any] = {}
    shared = surrogate(genomes(25), memo=memo)
    fresh = [surrogate(genomes(25))._theta(objective) for objective in (0, 1)]
    assert fresh[0] != fresh[1]
    assert [shared._theta(objective) for objective in (0, 1)] == fresh
    kept = memo[0]
    surrogate(genomes(26), memo=memo)._theta(0)
    assert memo[0] is kept
    wide = surrogate(genomes(25), catalog=WIDE, memo=memo)._theta(0)
    assert wide == surrogate(genomes(25), catalog=WIDE)._theta(0) != fresh[0]


def test_a_known_loss_is_a_column_in_units_of_its_range() -> None:
    seen = surrogate(genomes(30), prices=(1,))
    rows = seen.rows(genomes(31)[30:], np.array([[2 * np.log(3.0)]]))
    assert rows.shape[1] == surrogate(genomes(30)).rows([], np.zeros((0, 0))).shape[1] + 1
    assert (rows[:30, -1].min(), rows[:30, -1].max(), rows[30, -1]) == (0, 1, 2)


def test_losses_that_are_all_equal_are_expected_to_stay_so() -> None:
    trained = genomes(30)
    constant = np.column_stack([logarithms(trained)[:, 0], np.full(30, np.log(0.3))])
    seen = Surrogate(trained, constant, (True, True), FLAT, (), 1.5, 300, {})
    rows = seen.rows(trained[:5], np.zeros((5, 0)))
    estimates = seen.estimate(1, rows, running=2, optimism=1.0)
    assert estimates is not None
    assert [len(part) for part in estimates] == [30, 2, 3]
    assert all((part == np.log(0.3)).all() for part in estimates)


def test_a_kind_that_no_finished_trial_had_has_no_column() -> None:
    alphabet = Alphabet(Interval(1, 4, 1, integer=True), (("conv",),), {})
    shallow, deep = (Genome({}, {"s": tuple(map(Gene, ks))}) for ks in (["conv"], ["conv", "new"]))
    matrix = features([shallow, deep], Catalog({}, {"s": alphabet}))
    assert np.isfinite(matrix).all()
    assert (matrix[0] != matrix[1]).any()


def test_losses_that_are_biased_by_their_rung_mislead_less_where_it_is_known() -> None:
    trained, asked = genomes(60)[:40], genomes(60)[40:]
    stopped = np.arange(40) % 2 == 0
    biased = logarithms(trained)
    biased[stopped, 0] -= 1.0  # extrapolated too well
    misses = []
    for unfinished in (None, stopped.astype(float)):
        seen = replace(surrogate(trained, unfinished=unfinished), losses=biased)
        estimates = seen.estimate(0, seen.rows(asked, np.zeros((20, 0))), running=0, optimism=0.0)
        assert estimates is not None
        misses.append(np.abs(estimates[2] - logarithms(asked)[:, 0]).mean())
    assert misses[1] < 0.6 * misses[0]
