"""The argument ``space``: one object for initial, repair, accept and prices."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest

from optuna_de import DESampler
from optuna_de.sampler.plan import PLAN_KEY, Plan
from optuna_de.screening.screening import Screening

TWO: list[Any] = ["minimize"] * 2
LOGGER = "optuna_de.sampler.settings"


class Even:
    """Even integers ``n`` below 100 with a rate; ``n`` is the second objective."""

    def __init__(self) -> None:
        self.priced: list[float] = []

    def initial(self, rng: np.random.Generator) -> dict[str, Any]:
        return {"n": 2 * int(rng.integers(1, 45)), "rate": float(rng.random())}

    def repair(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {**params, "n": max(2, params["n"] // 2 * 2)} if "n" in params else dict(params)

    def accept(self, params: Mapping[str, Any]) -> bool:
        return bool(params.get("n", 0) < 90)

    def _price(self, params: Mapping[str, Any]) -> float:
        self.priced.append(params["n"])
        return float(params["n"])

    @property
    def prices(self) -> dict[int, Any]:
        return {1: self._price}


def objective(trial: optuna.Trial) -> tuple[float, float]:
    n, rate = trial.suggest_int("n", 1, 100), trial.suggest_float("rate", 0, 1)
    return 1 / n + (rate - 0.3) ** 2, float(n)


def size(params: Mapping[str, Any]) -> float:
    return float(params["n"])


def run(sampler: DESampler, n: int = 40) -> optuna.Study:
    study = optuna.create_study(directions=TWO, sampler=sampler, study_name="s")
    study.optimize(objective, n_trials=n)
    return study


def params(study: optuna.Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def screened(study: optuna.Study) -> set[bool | str]:
    return {Plan.load(t.system_attrs[PLAN_KEY]).screened for t in study.trials}


def test_a_space_equals_its_parts_as_single_arguments() -> None:
    space = Even()
    one = run(DESampler(space=space, seed=0))
    parts = run(
        DESampler(
            initial=space.initial,
            repair=space.repair,
            accept=space.accept,
            prices=space.prices,
            seed=0,
        )
    )
    assert params(one) == params(parts)
    assert all(p["n"] % 2 == 0 and p["n"] < 90 for p in params(one))
    assert True in screened(one)


def test_a_single_argument_overrides_the_spaces() -> None:
    def large(rng: np.random.Generator) -> dict[str, Any]:
        return {"n": 88, "rate": float(rng.random())}

    study = run(DESampler(space=Even(), initial=large, accept=lambda _: True, seed=0), 10)
    assert {p["n"] for p in params(study)} == {88}
    study = run(DESampler(space=Even(), repair=lambda p: {**p, "n": 7}, prices={}, seed=0), 30)
    assert {p["n"] for p in params(study)[10:]} == {7}
    assert screened(study) == {False}


class Half:
    """An object that is no whole space."""

    def initial(self, rng: np.random.Generator) -> dict[str, Any]:
        return {}

    def repair(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        return params


@pytest.mark.parametrize("make", [DESampler, DESampler.seed_exact])
def test_an_object_that_lacks_a_method_is_refused_in_one_sentence(make: Any) -> None:
    sentence = (
        "^space must have initial, repair, accept and prices, but Half has no accept and no "
        r"prices\.$"
    )
    with pytest.raises(TypeError, match=sentence):
        make(space=Half())


def test_prices_beyond_the_studys_objectives_are_ignored_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sampler = DESampler(space=Even(), seed=0)
    with caplog.at_level(logging.INFO, logger=LOGGER):
        for name in "ab":
            study = optuna.create_study(sampler=sampler, study_name=name)
            study.optimize(lambda trial: objective(trial)[0], n_trials=15)
    assert screened(study) == {False}
    assert [r.message for r in caplog.records] == [
        "The space's price of objective 1 is ignored: the study has 1, counted from 0."
    ]
    assert True in screened(run(sampler))  # the same sampler on two objectives


def test_screening_is_on_where_something_is_known_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger=LOGGER):
        assert True in screened(run(DESampler(prices={1: size}, seed=0)))
    assert [r.message for r in caplog.records] == [
        "Screening is on because objective 1 is known before the evaluation; screening=False "
        "turns it off."
    ]


def test_screening_is_off_without_scikit_learn_and_says_so_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna_de.sampler.settings.find_spec", lambda name: None)
    with caplog.at_level(logging.INFO, logger=LOGGER):
        assert screened(run(DESampler(space=Even(), seed=0))) == {False}
    assert [r.message for r in caplog.records] == [
        "Screening is off because scikit-learn is not installed; install it with: "
        "pip install 'optuna-de[screening]'"
    ]


@pytest.mark.parametrize(
    ("arguments", "on"),
    [
        ({}, False),
        ({"screening": True}, True),
        ({"screening": Screening(pool=10)}, True),
        ({"space": Even(), "screening": False}, False),
        ({"space": Even(), "prices": {}}, False),
    ],
)
def test_screening_as_the_user_says_is_not_logged(
    arguments: dict[str, Any], on: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger=LOGGER):
        study = run(DESampler(seed=0, **arguments))
    assert (True in screened(study)) is on
    assert caplog.records == []


def test_a_child_is_priced_once() -> None:
    space = Even()
    study = run(DESampler(space=space, screening=Screening(pool=20), seed=0), 20)
    space.priced.clear()
    study.optimize(objective, n_trials=1)
    assert 1 < len(space.priced) <= 20
    assert len(set(space.priced)) > 1


def test_a_running_trial_is_priced_once() -> None:
    space = Even()
    study = run(DESampler(space=space, screening=Screening(pool=5), seed=0), 20)
    for trial in (waiting := [study.ask() for _ in range(6)]):
        objective(trial)
    space.priced.clear()
    objective(study.ask())
    assert len(space.priced) <= 5 + len(waiting) + 1
    space.priced.clear()
    objective(study.ask())
    assert len(space.priced) <= 5 + 2  # the pool and the trial asked for before


def test_a_price_that_is_nan_is_named() -> None:
    sampler = DESampler(prices={1: lambda p: float("nan")}, screening=Screening(pool=4), seed=0)
    with pytest.raises(ValueError, match=r"price of objective 1 .* is NaN: \{'n': .*'rate'"):
        run(sampler)
