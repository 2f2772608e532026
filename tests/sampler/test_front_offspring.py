"""Studies of several objectives and numbers only: every third child is one of a front model."""

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from optuna_de import DESampler
from optuna_de.sampler.front_offspring import EVERY, _known
from optuna_de.sampler.plan import PLAN_KEY, Plan


def two(trial: optuna.Trial) -> tuple[float, float]:
    x = [trial.suggest_float(f"x{i}", 0, 1) for i in range(6)]
    rest = sum((value - 0.3) ** 2 for value in x[1:])
    return x[0], (1 - x[0]) ** 2 + rest


def gridded(trial: optuna.Trial) -> tuple[float, float]:
    n, x = trial.suggest_int("n", 1, 64, log=True), trial.suggest_float("x", 0, 1)
    trial.set_constraint("size", n - 40.0)
    return 1 / n + (x - 0.2) ** 2, n / 64


def run(objective: Any, n: int, storage: Any = None, **kwargs: Any) -> optuna.Study:
    study = optuna.create_study(
        study_name="s",
        storage=storage,
        load_if_exists=True,
        directions=["minimize"] * 2,
        sampler=DESampler(seed=0, **kwargs),
    )
    study.optimize(objective, n_trials=n)
    return study


def operators(study: optuna.Study) -> list[str]:
    return [Plan.load(t.system_attrs[PLAN_KEY]).operator for t in study.trials]


def rest(study: optuna.Study) -> float:
    return float(np.median([t.values[1] - (1 - t.values[0]) ** 2 for t in study.trials[90:]]))


def test_every_third_child_is_the_models_and_the_front_is_nearer() -> None:
    study, plain = run(two, 120), run(two, 120, adaptive=False)
    assert [i for i, o in enumerate(operators(study)) if o == "model"] == [*range(12, 120, EVERY)]
    assert "model" not in operators(plain)
    assert rest(study) < 0.5 * rest(plain)


def test_a_new_process_goes_on_alike_with_grids_and_constraints() -> None:
    storage = InMemoryStorage()
    for _ in range(3):
        study = run(gridded, 8, storage)
    whole = run(gridded, 24)
    assert [t.params for t in study.trials] == [t.params for t in whole.trials]
    assert len({tuple(t.params.items()) for t in study.trials}) == 24
    assert "model" in operators(study)


def test_the_model_repeats_no_trial_and_keeps_to_what_is_accepted() -> None:
    def whole(trial: optuna.Trial) -> tuple[float, float]:
        a, b = (trial.suggest_int(name, 0, 6) for name in "ab")
        return a, (6 - a) ** 2 + (b - 3) ** 2

    study = run(whole, 36, accept=lambda params: params.get("a") != 3)
    assert "model" in operators(study)
    assert len({tuple(t.params.items()) for t in study.trials}) == 36
    assert all(t.params["a"] != 3 for t in study.trials[20:])


def test_a_retried_trial_keeps_its_genome() -> None:
    study = run(two, 30)
    trial = study.ask()
    two(trial)
    assert operators(study)[-1] == "model"
    plan = study.trials[-1].system_attrs[PLAN_KEY]
    study.tell(trial, state=TrialState.FAIL)
    study.optimize(two, n_trials=5)
    study.add_trial(create_trial(state=TrialState.WAITING, system_attrs={PLAN_KEY: plan}))
    again = study.ask()
    two(again)
    assert again.params == trial.params


def test_workers_that_ask_before_the_others_are_told_do_not_meet() -> None:
    study = run(two, 60)
    asked = [study.ask() for _ in range(30)]
    for trial in asked:
        two(trial)
    places = np.array([list(t.params.values()) for t in asked if t.number % EVERY == 0])
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(len(places))
    assert len(places) == 10
    assert gaps.min() > 1e-3


@pytest.mark.parametrize(
    "options",
    [
        {"weights": (0.5, 0.5)},
        {"reference": (1.0, 1.0)},
        {"scale": 0.0},
        {"repair": lambda params: params},
    ],
)
def test_other_rules_have_no_model(options: dict[str, Any]) -> None:
    assert "model" not in operators(run(two, 24, **options))


def test_a_category_or_a_condition_has_no_model() -> None:
    def mixed(trial: optuna.Trial) -> tuple[float, float]:
        return *two(trial)[:1], float(len(trial.suggest_categorical("c", ["a", "bb"])))

    def conditional(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        return x, 1 - x if x < 0.5 else trial.suggest_float("y", 0, 1)

    assert "model" not in [*operators(run(mixed, 24)), *operators(run(conditional, 24))]


@pytest.mark.parametrize("loss", [float("inf"), 0.0])
def test_losses_that_teach_nothing_do_no_harm(loss: float) -> None:
    study = run(lambda trial: (loss, 0 * two(trial)[1]), 24)
    assert len({tuple(t.params.values()) for t in study.trials}) == 24


def test_refused_children_give_way_to_the_next() -> None:
    study = run(two, 60, accept=lambda params: params.get("x0", 0) <= 0.5)
    assert all(t.params["x0"] <= 0.5 for t in study.trials[1:])
    assert "model" in operators(study)


def test_the_model_knows_whole_trials_with_the_constraints_of_the_last_one() -> None:
    study = optuna.create_study(study_name="s", directions=["minimize"] * 2)
    box = {"x": FloatDistribution(0, 1)}
    values = [(float(i), -float(i)) for i in range(300)]
    study.add_trials(
        [
            create_trial(
                params={"x": i / 300},
                distributions=dict(box),
                values=[np.inf, 0.0] if i == 290 else values[i],
                system_attrs={} if i < 5 else {"constraints:c": float(i % 2)},
            )
            for i in range(300)
        ]
    )
    sampler = DESampler(seed=0)
    study.sampler = sampler
    history = sampler._history(study)
    space = history.numeric_space
    assert space is not None
    known = _known(history, space, history.fold.finished)
    numbers = [i for i in range(5, 300) if i != 290]
    assert known.places[:, 0] == pytest.approx([i / 300 for i in numbers])
    assert known.values.tolist() == [[*values[i], float(i % 2)] for i in numbers]
    assert known.front.tolist() == [list(values[i]) for i in numbers if i % 2 == 0]
    early = _known(history, space, history.fold.finished[:5])
    assert early.values.tolist() == [list(v) for v in values[:5]]
