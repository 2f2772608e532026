"""Screening: features, the model, what a candidate is worth, and which offspring is taken."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optuna_de import _compat
from optuna_de.evolution.genome import Choices, Gene, Genome, Interval
from optuna_de.evolution.pareto import added_areas, added_volumes
from optuna_de.evolution.variation import Alphabet, Catalog
from optuna_de.screening import screening
from optuna_de.screening.acquisition import acquisition_values
from optuna_de.screening.features import Array, UnitFeatureCache, _summaries, features
from optuna_de.screening.gaussian_process import Model
from optuna_de.screening.screening import Evidence, Screening, screen
from optuna_de.screening.surrogate import Surrogate
from optuna_de.screening.transforms import Scale, Stretch, extrapolate_losses, training_subset

RNG = np.random.default_rng
FLAT = Catalog({"x": Interval(0, 1), "op": Choices(("a", "b", "c"))}, {})
LAYERS = Catalog(
    {},
    {
        "s": Alphabet(
            Interval(1, 4, 1, integer=True),
            (("conv",), ("conv", "pool")),
            {"conv": {"width": Interval(1, 256, log=True, integer=True)}},
        )
    },
)


def flat(n: int, seed: int = 0) -> list[Genome]:
    rng = RNG(seed)
    return [Genome({"x": float(rng.random()), "op": "abc"[rng.integers(3)]}, {}) for _ in range(n)]


def error(genome: Genome) -> float:
    x, op = float(genome.flat["x"]), str(genome.flat["op"])  # type: ignore[arg-type]
    return 0.05 + (x - 0.3) ** 2 + 0.2 * "abc".index(op)


def evidence(genomes: list[Genome], running: list[Genome], noise: float = 0.0) -> Evidence:
    rng = RNG(9)
    values = [[error(g) + noise * rng.random(), 1 + 9 * float(g.flat["x"])] for g in genomes]  # type: ignore[arg-type]
    return Evidence(genomes, np.array(values), np.ones(len(genomes), bool), running, FLAT)


def prices(genomes: list[Genome]) -> dict[int, Array]:
    """The second objective of ``evidence``, known before the evaluation."""
    return {1: np.array([1 + 9 * float(g.flat["x"]) for g in genomes])}  # type: ignore[arg-type]


def units(*widths: int | None) -> Genome:
    genes = (Gene("pool") if w is None else Gene("conv", (("width", w),)) for w in widths)
    return Genome({}, {"s": tuple(genes)})


def test_equal_genomes_have_equal_features_and_others_do_not() -> None:
    genomes = [units(8), units(8, None), units(None, 8), units(8, 16), units(8, 17), units(8)]
    rows = features(genomes, LAYERS)
    assert (rows[0] == rows[-1]).all()
    assert len(np.unique(rows, axis=0)) == len(genomes) - 1
    assert rows.min() >= -0.5
    assert rows.max() <= 1


def test_nearer_widths_are_nearer_and_a_category_is_a_distance_of_one() -> None:
    rows = features([units(8, 16), units(8, 17), units(8, 200)], LAYERS)
    assert np.linalg.norm(rows[0] - rows[1]) < np.linalg.norm(rows[0] - rows[2])
    a, b = features([Genome({"op": "a"}, {}), Genome({"op": "b"}, {})], FLAT)
    assert np.linalg.norm(a - b) == pytest.approx(1)


def test_a_sequence_is_summed_up() -> None:
    alphabet = LAYERS.sequences["s"]
    span = alphabet.attributes["conv"]["width"]
    first, last = (span.to_unit(w) for w in (200, 1))  # type: ignore[union-attr]
    networks = (units(200, None, 1), units(None), units(None, 200))
    sequences = [genome.sequences["s"] for genome in networks]
    sums = _summaries(UnitFeatureCache(alphabet).positions(sequences), 2)
    depth, shares, places = 1, (2 / 3, 1 / 3), (1 / 3, 1 / 3)  # of convolutions, of pools
    course = ((first + last) / 2, first, first, last)  # mean, largest, first, last
    np.testing.assert_allclose(sums[0], [depth, *shares, *places, *course])
    np.testing.assert_allclose(sums[1], [1 / 3, 0, 1 / 3, -0.5, 0, *[-0.5] * 4])
    np.testing.assert_allclose(sums[2], [2 / 3, 1 / 3, 1 / 3, 1 / 2, 0, *[first] * 4])


def test_a_missing_gene_is_a_value_of_its_own() -> None:
    genomes = [Genome({"op": "a"}, {}), Genome({"op": "a", "x": 0.0}, {}), Genome({"x": 0.0}, {})]
    assert len(np.unique(features(genomes, FLAT), axis=0)) == 3


@pytest.mark.parametrize(("m", "added"), [(2, added_areas), (3, added_volumes)])
def test_what_is_added_is_the_exact_hypervolume(
    m: int, added: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
) -> None:
    rng, reference = RNG(0), np.ones(m)
    front, candidates = rng.random((12, m)), rng.random((50, m)) * 1.2
    front[0, -1] = front[1, -1]

    def volume(points: np.ndarray) -> float:
        inside = points[(points < reference).all(axis=1)]
        return _compat.hypervolume(inside[_compat.is_on_front(inside)], reference)

    exact = [volume(np.vstack([front, c])) - volume(front) for c in candidates]
    np.testing.assert_allclose(added(front, candidates, reference), exact, atol=1e-12)


def test_without_a_better_candidate_the_least_dominated_one_wins() -> None:
    front = np.array([[0.0, 0.0]])
    candidates = np.array([[0.5, 0.5], [0.1, 0.9], [0.3, 0.3]])
    assert np.argmax(acquisition_values(front, candidates, None, RNG(0))) == 1


@pytest.mark.parametrize(("weights", "best"), [((1.0, 0.0), 0), ((0.0, 1.0), 1)])
def test_weights_decide(weights: tuple[float, ...], best: int) -> None:
    candidates = np.array([[0.1, 0.9], [0.9, 0.1]])
    assert np.argmax(acquisition_values(np.ones((1, 2)), candidates, weights, RNG(0))) == best


def test_many_objectives_prefer_what_is_better_in_all() -> None:
    candidates = np.array([[0.5] * 4, [0.4] * 4, [0.9] * 4])
    assert np.argmax(acquisition_values(np.ones((1, 4)), candidates, None, RNG(0))) == 1


def test_the_model_smooths_one_lucky_evaluation() -> None:
    x = np.repeat(np.linspace(0, 1, 10), 4)[:, None]
    losses = 1 + RNG(0).normal(0, 0.1, 40)
    losses[20] = 0.0
    model = Model.fit(x, losses, 0.5, (4.0, 1.0))
    assert model.predict(x)[0][20] > 0.7


def test_a_believed_trial_leaves_less_doubt_and_the_same_mean() -> None:
    genomes = flat(30)
    x = features(genomes, FLAT)
    losses = np.array([error(g) for g in genomes])
    model = Model.fit(x[:29], losses[:29], 0.5, (2.0, 1e-3))
    mean, doubt = model.predict(x[29:])
    mean_then, doubt_then = model.believing(x[29:], mean).predict(x[29:])
    assert mean_then == pytest.approx(mean, abs=1e-3)
    assert doubt_then < doubt / 2


def test_leave_one_out_in_closed_form_is_leave_one_out() -> None:
    genomes = flat(12)
    x, losses = features(genomes, FLAT), np.array([error(g) for g in genomes])
    model = Model.fit(x, losses, 0.5, (2.0, 1e-2))
    process = model.process
    for i in range(12):
        rest = np.arange(12) != i
        one = type(process)(process.kernel, alpha=1e-8, optimizer=None)
        predicted = one.fit(x[rest], model.y[rest]).predict(x[i : i + 1])[0]
        assert model.left_out[i] == pytest.approx(model.y[i] - predicted, abs=1e-6)


def test_screening_takes_a_child_near_the_best_of_its_pool() -> None:
    pool = flat(100, seed=1)
    seen = evidence(flat(40), [])
    verdict = screen(seen, pool, prices(pool), Screening(), RNG(0), {})
    assert verdict.chosen is not None
    losses = np.log([[error(g), 1 + 9 * float(g.flat["x"])] for g in pool])  # type: ignore[arg-type]
    low, high = np.log(seen.losses).min(axis=0), np.log(seen.losses).max(axis=0)
    areas = added_areas(
        (np.log(seen.losses) - low) / (high - low), (losses - low) / (high - low), np.full(2, 1.1)
    )
    assert areas[verdict.chosen] >= np.quantile(areas, 0.9)


def test_workers_do_not_crowd_one_point() -> None:
    pool, chosen = flat(100, seed=1), list[int]()
    for _ in range(8):
        running = [pool[i] for i in chosen]
        rest = [g for i, g in enumerate(pool) if i not in chosen]
        known = prices([*running, *rest])
        verdict = screen(evidence(flat(40), running), rest, known, Screening(), RNG(0), {})
        assert verdict.chosen is not None
        chosen.append(pool.index(rest[verdict.chosen]))
    xs = [float(pool[i].flat["x"]) for i in chosen]  # type: ignore[arg-type]
    assert np.ptp(xs) > 0.2


def test_a_model_of_pure_noise_is_not_used_and_the_verdict_says_so() -> None:
    genomes = flat(60)
    losses = np.exp(RNG(3).normal(size=(60, 1)))
    seen = Evidence(genomes, losses, np.ones(60, bool), [], FLAT)
    verdict = screen(seen, flat(20, seed=1), {}, Screening(), RNG(0), {})
    assert verdict.chosen is None
    assert verdict.reason == "the model is no better than a constant"


def test_too_few_trials_and_an_empty_pool_are_said() -> None:
    options = Screening()
    few = screen(evidence(flat(4), []), flat(9), {}, options, RNG(0), {})
    none = screen(evidence(flat(30), []), [], {}, options, RNG(0), {})
    assert (few.reason, none.reason) == ("too few finished trials", "no offspring that is new")


def test_a_memo_changes_nothing() -> None:
    pool, memo = flat(20, seed=1), {}  # type: ignore[var-annotated]
    for n in (20, 21, 24, 25, 26):
        seen = evidence(flat(n), [])
        fresh = screen(seen, pool, {}, Screening(), RNG(0), {})
        assert screen(seen, pool, {}, Screening(), RNG(0), memo) == fresh


def test_infinite_losses_zeros_and_constants_are_screened() -> None:
    genomes = flat(30)
    losses = np.array([[error(g), 0.0, 5.0] for g in genomes])
    losses[3, 0], losses[4, 1] = np.inf, 7.0
    seen = Evidence(genomes, losses, np.ones(30, bool), flat(3, seed=5), FLAT)
    assert screen(seen, flat(20, seed=1), {}, Screening(), RNG(0), {}).chosen is not None
    alike = Evidence(genomes, np.full((30, 2), 0.3), np.ones(30, bool), [], FLAT)
    verdict = screen(alike, flat(20, seed=1), {}, Screening(), RNG(0), {})
    assert (verdict.chosen, verdict.reason) == (None, "the model is no better than a constant")


def test_only_losses_on_a_logarithmic_scale_are_stretched(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Surrogate] = []

    def keep(*arguments: Any) -> Surrogate:
        made.append(Surrogate(*arguments))
        return made[0]

    monkeypatch.setattr(screening, "Surrogate", keep)
    genomes = flat(20)
    losses = np.array([[error(g), error(g) - 1] for g in genomes])
    seen = Evidence(genomes, losses, np.ones(20, bool), [], FLAT)
    screen(seen, flat(20, seed=1), {}, Screening(), RNG(0), {})
    assert list(made[0].logarithmic) == [True, False]


def test_a_stretch_spreads_the_good_and_is_undone() -> None:
    losses = np.log([0.1, 0.11, 0.2, 1.0])
    stretch = Stretch.of(losses)
    stretched = stretch.forward(losses)
    np.testing.assert_allclose(
        stretched, np.log(np.exp(losses) - 0.07)
    )  # seven tenths of the least
    np.testing.assert_allclose(stretch.backward(stretched), losses)
    same = Stretch.of(np.array([-3.0, 0.0]), logarithmic=False)
    assert (same.backward(same.forward(losses)) == losses).all()


def test_a_scale_keeps_order() -> None:
    for losses in ([-1.0, 0.0, 2.0], [0.0, 1e-9, 3.0], [1e-3, 1.0, np.inf]):
        mapped = Scale.of(np.array(losses)).forward(np.array(losses))
        assert np.isfinite(mapped).all()
        assert (np.diff(mapped) >= 0).all()


@pytest.mark.parametrize("losses", [RNG(0).random((1000, 2)), np.arange(2000.0).reshape(-1, 2)])
def test_a_subset_is_bounded_and_keeps_the_best_and_the_latest(losses: Array) -> None:
    losses[10] = -1.0
    kept = training_subset(losses, 300)
    assert len(np.unique(kept)) == len(kept) == 300
    assert {10, 850, 999} <= set(kept)
    assert (training_subset(losses[:50], 300) == np.arange(50)).all()


def test_a_subset_of_a_long_front_is_bounded() -> None:
    losses = np.column_stack([np.arange(1000.0), -np.arange(1000.0)])
    kept = training_subset(losses, 300)
    assert len(np.unique(kept)) == len(kept) == 300


def test_stopped_trials_are_foretold_by_the_median_factor() -> None:
    pairs = [((0.8, 10.0), (0.4, 10.0)), ((0.6, 20.0), (0.3, 20.0)), ((0.5, 5.0), (0.5, 5.0))]
    assert extrapolate_losses((0.9, 7.0), pairs) == pytest.approx((0.45, 7.0))
    assert extrapolate_losses((-1.0, 7.0), pairs) == pytest.approx((-1.3, 7.0))
    assert extrapolate_losses((0.9, 7.0), []) == (0.9, 7.0)
    endless = ((float("inf"), 10.0), (0.4, 10.0))
    assert extrapolate_losses((0.9, 7.0), [endless]) == (0.9, 7.0)
    assert extrapolate_losses((0.9, 7.0), [endless, *pairs]) == pytest.approx((0.45, 7.0))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"pool": 1}, "pool must be at least 2, but is 1"),
        ({"optimism": -1.0}, "optimism must be at least 0, but is -1.0"),
        ({"smoothness": 1.0}, "smoothness must be 0.5, 1.5 or 2.5, but is 1.0"),
        ({"limit": 3}, "limit must be at least 20, but is 3"),
        ({"minimum": 1}, "minimum must be at least 5, but is 1"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Screening(**arguments)  # type: ignore[arg-type]


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optuna_de.screening.screening.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"optuna-de\[screening\]"):
        Screening()


def test_the_added_hypervolume_is_exact_and_the_larger_one_wins() -> None:
    """By hand: below (1.1, 1.1), beside one incumbent at (0.5, 0.5)."""
    incumbents, candidates = np.array([[0.5, 0.5]]), np.array([[0.4, 0.4], [0.1, 1.0], [0.6, 0.6]])
    added = acquisition_values(incumbents, candidates, None, np.random.default_rng(0))
    assert added == pytest.approx([0.7**2 - 0.6**2, 0.4 * 0.1, 0.0])
