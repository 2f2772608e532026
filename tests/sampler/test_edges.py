"""Values at the edge of types and ranges: none of them ends a search."""

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution, _categorical_choice_equal
from optuna.trial import TrialState

from optuna_de import DESampler
from optuna_de.evolution.genome import Genome, Interval, agree, without_nan
from optuna_de.search_space.distributions import Params
from optuna_de.visualization import plot_generations, plot_lineage
from tests.search_space.test_sequence_space import SPACE

pytestmark = pytest.mark.filterwarnings("ignore:Fixed parameter:UserWarning")
ODD = [math.nan, float("nan"), np.float32("nan"), None, 0, False, 1, True, 1.0, "a", "nan"]


@pytest.mark.parametrize("a", ODD, ids=repr)
@pytest.mark.parametrize("b", ODD, ids=repr)
def test_choices_are_equal_as_optuna_finds_them(a: Any, b: Any) -> None:
    assert agree(without_nan(a), without_nan(b)) == _categorical_choice_equal(a, b)
    assert ((without_nan(a),) == (without_nan(b),)) == _categorical_choice_equal(a, b)


@pytest.mark.parametrize("screening", [False, True])
def test_nan_among_choices(screening: bool) -> None:
    study = optuna.create_study(sampler=DESampler(seed=0, screening=screening, mutation=0.0))

    def objective(trial: optuna.Trial) -> float:
        choice = trial.suggest_categorical("c", [float("nan"), "a", None, 1])
        return float(choice == "a") + trial.suggest_float("x", 0, 1)

    study.optimize(objective, n_trials=30)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}


def test_a_genome_with_nan_is_not_repeated() -> None:
    study = optuna.create_study(sampler=DESampler(seed=0, population_size=4))
    study.optimize(
        lambda t: sum(v == "a" for v in [choose(t, name) for name in "uvw"]), n_trials=27
    )
    assert len({repr(t.params) for t in study.trials}) == 27


def choose(trial: optuna.Trial, name: str) -> Any:
    return trial.suggest_categorical(name, [float("nan"), "a", 1])


def test_times_with_a_zone_are_taken_as_a_database_takes_them() -> None:
    study = optuna.create_study(sampler=DESampler(seed=0, population_size=4))
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    for i in range(6):
        trial = optuna.create_trial(
            params={"x": i / 10}, distributions={"x": FloatDistribution(0, 1)}, value=float(i)
        )
        trial.datetime_complete = now + timedelta(seconds=i)
        study.add_trial(trial)
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=10)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    plot_generations(study)
    plot_lineage(study)


def test_the_widest_range_of_floats_is_drawn_from_throughout() -> None:
    study = optuna.create_study(sampler=DESampler(seed=0))
    study.optimize(lambda t: t.suggest_float("x", -1e308, 1e308) / 1e300, n_trials=40)
    drawn = [t.params["x"] for t in study.trials]
    assert len(set(drawn)) == 40
    assert min(drawn) < -1e307
    assert max(drawn) > 1e307


@pytest.mark.parametrize(
    "interval",
    [
        Interval(-1e308, 1e308),
        Interval(-1.7e308, 1.7e308, 1e307),
        Interval(0.0, 1.7e308, 1e308),
        Interval(-1.7e308, 1e308),
    ],
    ids=str,
)
def test_ranges_whose_span_overflows_have_a_unit_interval(interval: Interval) -> None:
    values = [interval.from_unit(u / 20) for u in range(21)]
    assert values == sorted(values)
    assert len(set(values)) > (1 if interval.low == 0 else 10)
    assert [interval.from_unit(interval.to_unit(v)) for v in values] == pytest.approx(values)


@pytest.mark.parametrize("value", [math.nan, -math.inf, math.inf, -1.0, 0.0, 1e300])
def test_values_beyond_a_range_map_to_its_ends(value: float) -> None:
    assert Interval(1e-5, 1.0, log=True).to_unit(value) in (0.0, 1.0)


@pytest.mark.parametrize("loss", [1.7e308, -1.7e308, 5e-324, 1e-310])
@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("screening", [False, True])
def test_losses_at_the_edge_of_floats(loss: float, objectives: int, screening: bool) -> None:
    study = optuna.create_study(
        directions=["minimize"] * objectives, sampler=DESampler(seed=0, screening=screening)
    )

    def objective(trial: optuna.Trial) -> list[float]:
        x = trial.suggest_float("x", 0, 1)
        sign = -1 if trial.number % 3 == 1 and abs(loss) > 1 else 1
        return [sign * loss * (x if trial.number % 3 else 1), x * loss][:objectives]

    study.optimize(objective, n_trials=30)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}


def test_half_a_surrogate_pair_in_names() -> None:
    study = optuna.create_study(study_name="a\ud800", sampler=DESampler(seed=0))
    study.optimize(lambda t: t.suggest_float("x\udfff", 0, 1), n_trials=25)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}


LENGTHS = [{"net.layers.length": v} for v in (10**6, 10**30, -1, 0, math.nan, math.inf, "x", None)]
KINDS = [
    {"net.layers.length": 2, "net.layers.0.kind": v} for v in ("conv", 3, None, math.nan, "norm")
]
WIDTHS = [
    {"net.layers.length": 2, "net.layers.0.kind": "dense", "net.layers.0.dense.width": v}
    for v in (10**6, -1, 0, math.nan, 10**30, "x")
]


@pytest.mark.parametrize("params", [*LENGTHS, *KINDS, *WIDTHS], ids=str)
def test_f42_a_genome_that_nobody_can_build_fails_at_once(params: dict[str, Any]) -> None:
    study = optuna.create_study(sampler=DESampler(seed=0, population_size=4))
    study.enqueue_trial(params)
    study.optimize(lambda t: float(len(SPACE.suggest(t))), n_trials=12, catch=(Exception,))
    assert [t.state for t in study.trials] == [TrialState.FAIL] + [TrialState.COMPLETE] * 11
    assert len(study.trials[0].params) <= 3


def test_many_running_trials_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = DESampler(seed=0, population_size=4)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=8)
    reads, history = list[Params](), sampler._history(study)
    read = history._read

    def counted(params: Params) -> Genome:
        reads.append(params)
        return read(params)

    monkeypatch.setattr(history, "_read", counted)
    for _ in range(100):
        study.ask().suggest_float("x", 0, 1)
    assert len(reads) < 1000  # one a trial, and one for each child; 100 * 100 / 2 if read again
    assert len({t.params["x"] for t in study.trials}) == 108
