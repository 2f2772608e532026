"""Plans: time is shared, rungs rise, short times are refused, records are read back."""

from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate, cycle, pairwise

import optuna
import pytest

from optuna_de.cnn import CNNSpace, get_recipe
from optuna_de.cnn.architecture.region import Region
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.fitting import step_cost
from optuna_de.cnn.fitting.finals import PICK, best_of_bands, pick_finals
from optuna_de.cnn.fitting.plan import (
    PLAN_KEY,
    extended,
    make_plan,
    plan_finals,
    plan_rows,
    read_plan,
)
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.cnn.study.setup import SETUP_KEY
from tests.cnn.kit import digits

REGION = Region(20_000, 1_000_000, 0.45)


@pytest.mark.parametrize("hours", [0.1, 1, 6, 100])
def test_a_plan_fits_its_time(hours: float) -> None:
    plan = make_plan(3600 * hours, REGION, 45_000, 0.001)
    climbed = sum(rung.passes / 3**i for i, rung in enumerate(plan.ladder))
    assert climbed * plan.trials * plan.pass_seconds <= plan.search_compute
    assert plan.finals * plan.epochs * 45_000 * 0.001 <= 0.5 * plan.compute or plan.epochs == 1
    passes = [rung.passes for rung in plan.ladder]
    assert all(2.5 < b / a < 3.5 for a, b in pairwise(passes))
    assert passes[0] >= 8_000 or plan.trials <= 21


def test_little_time_tries_fewer_networks_before_it_trains_on_less() -> None:
    plan = make_plan(60, Region(1_000, 20_000), 1_150, 0.001)
    assert plan.trials <= 10
    assert plan.ladder[0].passes >= 900


@pytest.mark.parametrize(("images", "batch"), [(100, 50), (120, 50), (100, 128)])
def test_a_step_counts_as_fast_as_it_was_once(
    images: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock jumps at every other step, as on a busy machine; no step has a part of a batch."""
    times = cycle(accumulate([0.5, 100.0] * 4))
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    step = min(images, batch)

    def train(
        _: object, data: ImageData, *__: object, on_step: Callable[[], None], **___: object
    ) -> None:
        assert len(data.train.labels) % step == 0
        for _step in range(8):
            on_step()

    monkeypatch.setattr(step_cost, "train", train)
    data = digits(images, 100)
    recipe = replace(get_recipe("fast"), batch_size=batch)
    objective = CNNObjective(data, CNNSpace(data.image_shape), recipe)
    assert step_cost.measure_pass(objective) == 0.5 / step


def test_small_sets_train_longer_instead() -> None:
    plan = make_plan(1800, Region(4_000, 200_000), 480, 0.002)
    assert plan.ladder[-1].epochs > 50
    assert plan.ladder[-1].images <= 480


def test_more_a_band_and_seeds_where_time_allows() -> None:
    assert plan_finals(1e6, 45_000, [0.001] * 4) == (12, 80, 2)
    assert plan_finals(40_000.0, 45_000, [0.001] * 4) == (8, 44, 2)
    assert plan_finals(10_000.0, 45_000, [0.001] * 4) == (8, 22, 1)
    assert plan_finals(3600.0, 45_000, [0.001] * 4) == (4, 16, 1)
    assert plan_finals(360.0, 45_000, [0.001, 0.002, 0.004, 0.008]) == (1, 6, 1)
    assert plan_finals(1.0, 45_000, [0.001, 0.002]) == (1, 1, 1)


@pytest.mark.parametrize("seconds", [60.0, 90.0, 180.0, 600.0])
def test_a_final_sees_no_fewer_images_than_the_last_rung(seconds: float) -> None:
    """Three finals of three epochs ended at 78 % error that a search had brought to 47 %."""
    plan = make_plan(seconds, Region(2_000, 60_000), 1_200, 0.003)
    assert plan.epochs * plan.images >= plan.ladder[-1].passes or plan.finals == 1
    assert plan.finals < 3 or seconds > 90


def test_no_time_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^1.0 s of compute is too short .*\.$"):
        make_plan(1.0, REGION, 45_000, 0.1)


def test_plans_are_recorded_shown_and_extended() -> None:
    study, plan = optuna.create_study(), make_plan(7200, REGION, 45_000, 0.001)
    plan = replace(plan, known=(("resnet20", "B16k3-GAP"),))
    assert read_plan(study) is None
    study.set_user_attr(PLAN_KEY, plan.json())
    assert read_plan(study) == plan
    rows = plan_rows(plan, 2)
    assert [row[0] for row in rows] == [
        "a quarter, 15 min",
        "this plan, 60 min",
        "four times, 4.0 h",
    ]
    longer = extended(plan, 7200)
    assert (longer.compute, longer.ladder, longer.trials) == (14_400, plan.ladder, 2 * plan.trials)
    assert longer.known == plan.known
    study.set_user_attr(PLAN_KEY, {k: v for k, v in plan.json().items() if k != "seeds"})
    assert read_plan(study) == plan  # plans of before there were seeds
    study.set_user_attr(PLAN_KEY, {k: v for k, v in plan.json().items() if k != "known"})
    assert read_plan(study) == replace(plan, known=())
    for foreign in ({}, {**plan.json(), "ladder": [3]}, {**plan.json(), "region": "all"}, "x"):
        study.set_user_attr(PLAN_KEY, foreign)
        assert read_plan(study) is None


def finals_of(*rows: tuple[float, int, int]) -> optuna.Study:
    """Return a study of finals: error, parameters, pick."""
    study = optuna.create_study(directions=["minimize", "minimize"])
    for error, size, pick in rows:
        attributes = {PICK: pick}
        trial = optuna.create_trial(values=[error, float(size)], user_attrs=attributes)
        study.add_trial(trial)
    return study


def test_the_least_mean_over_seeds_ships_by_its_best_seed() -> None:
    study = finals_of((0.20, 1_100, 7), (0.40, 1_100, 7), (0.26, 1_200, 9), (0.25, 1_200, 9))
    assert [t.number for t in best_of_bands(study, Region(1_000, 3_000))] == [3]


def searched(*rows: tuple[float, int, dict[str, float] | None]) -> optuna.Study:
    """Return a search of 100 validation images: error, parameters, what was scored again."""
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.set_user_attr(SETUP_KEY, {"images": "900 + 100"})
    for error, size, again in rows:
        attributes = {} if again is None else {"rescored": again}
        study.add_trial(optuna.create_trial(values=[error, float(size)], user_attrs=attributes))
    return study


def test_errors_on_more_images_choose_the_finals() -> None:
    region = Region(1_000, 3_000)
    again = {"error": 0.30, "images": 8_100}
    rows = [(0.20, 1_500, again), (0.28, 1_600, again | {"error": 0.25})]
    assert [t.number for t in pick_finals(searched(*rows), region, 1)] == [1]
    bare = [(error, size, None) for error, size, _ in rows]
    assert [t.number for t in pick_finals(searched(*bare), region, 1)] == [0]
    fewer = [(error, size, {**score, "images": 50}) for error, size, score in rows]
    assert [t.number for t in pick_finals(searched(*fewer), region, 1)] == [0]


def test_a_lucky_error_far_below_the_trend_is_not_trusted_on_few_images() -> None:
    others = [(0.40 - 0.04 * i, 1_000 * 2**i, None) for i in range(6)]
    lucky = (0.34, 1_100, None)  # its standard error on 100 images is .05
    region = Region(1_000, 3_000)
    picks = pick_finals(searched(*others, lucky), region, 2)
    assert [t.values[1] for t in picks] == [2_000, 1_100]


def test_a_larger_final_ships_only_with_a_lower_error() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    for error, size in ((0.5, 1_100), (0.3, 1_200), (0.3, 4_000), (0.2, 5_000), (0.25, 20_000)):
        study.add_trial(optuna.create_trial(values=[error, float(size)]))
    assert [t.number for t in best_of_bands(study, Region(1_000, 27_000))] == [1, 3]
