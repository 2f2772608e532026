"""Studies of one objective and numbers only: CMA-ES and a model, read back from the storage."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from optuna_de import DESampler
from optuna_de.evolution.cma import SEPARABLE, Normal
from optuna_de.evolution.cma_fold import Run
from optuna_de.sampler.plan import PLAN_KEY, Plan
from optuna_de.storage import open_storage


def ellipsoid(trial: optuna.trial.BaseTrial) -> float:
    x = np.array([trial.suggest_float(f"x{i}", -5, 5) for i in range(4)])
    return float((10.0 ** np.arange(4) * (x - 1) ** 2).sum())


def gridded(trial: optuna.trial.BaseTrial) -> float:
    x = trial.suggest_float("x", 1e-5, 1e-1, log=True)
    k = trial.suggest_int("k", 1, 64, log=True)
    n = trial.suggest_int("n", 0, 20)
    s = trial.suggest_float("s", 0, 1, step=0.1)
    return float((np.log10(x) + 3) ** 2 + abs(k - 17) / 10 + (n - 7) ** 2 + (s - 0.3) ** 2)


def plans(study: optuna.Study) -> list[Plan]:
    return [Plan.load(t.system_attrs[PLAN_KEY]) for t in study.trials]


def run(objective: Any, n: int, **kwargs: Any) -> optuna.Study:
    study = optuna.create_study(study_name="s", sampler=DESampler(seed=0, **kwargs))
    study.optimize(objective, n_trials=n)
    return study


def run_of(study: optuna.Study) -> Run:
    assert isinstance(study.sampler, DESampler)
    history = study.sampler._history(study, fresh=True)
    space = history.numeric_space
    assert space is not None
    return history.cma(space).run


def normal_of(study: optuna.Study) -> Normal:
    normal = run_of(study).normal
    assert normal is not None
    return normal


def test_it_converges_where_differences_stall() -> None:
    assert run(ellipsoid, 300).best_value < 1e-6
    assert run(ellipsoid, 300, adaptive=False).best_value > 1e-3


def test_maximising_mirrors_minimising() -> None:
    study = optuna.create_study(study_name="s", direction="maximize", sampler=DESampler(seed=0))
    study.optimize(lambda trial: -ellipsoid(trial), n_trials=100)
    assert [t.params for t in study.trials] == [t.params for t in run(ellipsoid, 100).trials]


def test_every_operator_has_a_share() -> None:
    operators = [plan.operator for plan in plans(run(ellipsoid, 200))]
    assert [operators.count(name) for name in ("initial", "cma", "model")] == [10, 143, 47]
    gridded_operators = [plan.operator for plan in plans(run(gridded, 200))]
    assert 40 < gridded_operators.count("difference") < 75


def test_no_two_trials_on_a_grid_are_equal_and_all_are_in_range() -> None:
    study = run(gridded, 150)
    assert len({tuple(t.params.items()) for t in study.trials}) == 150
    assert study.best_value < 0.05
    for trial in study.trials:
        assert all(d._contains(trial.params[n]) for n, d in trial.distributions.items())


def test_a_finite_space_may_be_exhausted() -> None:
    study = run(lambda trial: trial.suggest_int("n", 0, 5) * 1.0, 20)
    assert {t.params["n"] for t in study.trials} == set(range(6))


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/a.db")
    for _ in range(6):  # a new process each time, as far as the sampler can tell
        study = optuna.create_study(
            storage=storage, study_name="s", sampler=DESampler(seed=0), load_if_exists=True
        )
        study.optimize(gridded, n_trials=10)
    whole = run(gridded, 60)
    assert [t.params for t in study.trials] == [t.params for t in whole.trials]
    assert plans(study) == plans(whole)


def test_any_worker_plans_the_same_child_whatever_it_has_seen_before() -> None:
    """Trials finish out of order; a worker that watched and one that is new agree."""
    storage, rng = InMemoryStorage(), np.random.default_rng(0)
    study = optuna.create_study(storage=storage, study_name="s", sampler=DESampler(seed=0))
    running: list[optuna.Trial] = []
    for _ in range(150):
        running.append(study.ask())
        loss = ellipsoid(running[-1])
        running[-1].set_user_attr("loss", loss)
        if len(running) == 8:
            done = running.pop(int(rng.integers(8)))
            study.tell(done, done.user_attrs["loss"])
    anew = optuna.load_study(storage=storage, study_name="s", sampler=DESampler(seed=0))
    assert run_of(study).number == run_of(anew).number
    assert (normal_of(study).mean == normal_of(anew).mean).all()
    assert (normal_of(study).covariance == normal_of(anew).covariance).all()


def test_a_late_trial_changes_the_distribution_as_if_it_had_always_been_there() -> None:
    trials = run(ellipsoid, 80).get_trials()
    late = create_trial(
        params=dict.fromkeys(trials[0].params, 1.0),
        distributions=trials[0].distributions,
        value=0.0,
    )
    late.datetime_complete = trials[40].datetime_complete
    first = optuna.create_study(study_name="s", sampler=DESampler(seed=0))
    first.add_trials(trials)
    before = normal_of(first)
    first.add_trial(late)
    second = optuna.create_study(study_name="s", sampler=DESampler(seed=0))
    second.add_trials([*trials, late])
    assert (normal_of(first).mean == normal_of(second).mean).all()
    assert (normal_of(first).mean != before.mean).any()


def test_a_retried_trial_keeps_its_genome() -> None:
    study = run(gridded, 41)
    trial = study.ask()
    suggested = gridded(trial), trial.params
    plan = study.trials[-1].system_attrs[PLAN_KEY]
    study.tell(trial, state=TrialState.FAIL)
    study.optimize(gridded, n_trials=20)
    study.add_trial(create_trial(state=TrialState.WAITING, system_attrs={PLAN_KEY: plan}))
    again = study.ask()
    assert (gridded(again), again.params) == suggested


def test_enqueued_trials_and_those_of_other_samplers_count() -> None:
    study = optuna.create_study(study_name="s", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(ellipsoid, n_trials=30)
    study.sampler = DESampler(seed=0)
    study.enqueue_trial({f"x{i}": 1.01 for i in range(4)})
    study.optimize(ellipsoid, n_trials=40)
    best = run_of(study).best
    assert best is not None
    assert best.loss == study.best_value <= 1.111e-1


def test_plans_of_the_old_rule_still_load_and_breed_the_same_child() -> None:
    old = run(ellipsoid, 40, adaptive=False)
    stored = old.trials[-1].system_attrs[PLAN_KEY]
    plain = {k: v for k, v in stored.items() if k not in ("sampled", "run")}
    assert Plan.load(plain).sampled == {}
    study = optuna.create_study(study_name="s", sampler=DESampler(seed=0))
    study.add_trials(old.trials[:-1])
    study.add_trial(create_trial(state=TrialState.WAITING, system_attrs={PLAN_KEY: plain}))
    study.optimize(ellipsoid, n_trials=1)
    assert study.trials[-1].params == old.trials[-1].params


def test_from_the_first_infeasible_trial_on_a_model_of_each_constraint_chooses() -> None:
    def objective(trial: optuna.Trial) -> float:
        loss = ellipsoid(trial)
        trial.set_constraint("c", 2.0 - trial.params["x0"])
        return loss

    study, plain = run(objective, 100), run(objective, 100, adaptive=False)
    assert study.best_trial.params["x0"] >= 2
    assert {plan.operator for plan in plans(study)[20:]} == {"difference", "model"}
    assert study.best_value - 1 < 0.1 * (plain.best_value - 1)


def test_a_range_may_grow() -> None:
    def objective(trial: optuna.Trial) -> float:
        high = 1.0 if trial.number < 30 else 8.0
        return (trial.suggest_float("x", 0, high) - 5) ** 2 + trial.suggest_float("y", 0, 1)

    assert run(objective, 120).best_value < 1e-3


def test_other_studies_keep_to_differences() -> None:
    def conditional(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        return x if x < 0.5 else trial.suggest_float("y", 0, 1)

    def categorical(trial: optuna.Trial) -> float:
        return trial.suggest_float("x", 0, 1) + len(trial.suggest_categorical("c", ["a", "bb"]))

    for objective in (conditional, categorical):
        assert not {"cma", "model"} & {plan.operator for plan in plans(run(objective, 40))}


def test_a_plan_notes_the_f_that_moved_its_child() -> None:
    study = optuna.create_study(
        study_name="s", directions=["minimize"] * 2, sampler=DESampler(seed=0, mutation=0)
    )
    study.optimize(lambda t: (x := t.suggest_float("x", 0, 1), 1 - x), n_trials=60)
    xs, moved = [trial.params["x"] for trial in study.trials], 0
    for trial, plan in zip(study.trials, plans(study), strict=True):
        if len(plan.parents) == 4:
            _, a, b, base = (xs[n] for n in plan.parents)
            child = base + plan.parameters["scale"] * (a - b)
            moved += abs(child - trial.params["x"]) < 1e-12
    assert moved > 10


@pytest.mark.parametrize(("name", "operator"), [("x", "cma"), ("x" * 400, "difference")])
def test_plans_fit_the_text_of_every_database(name: str, operator: str) -> None:
    box: dict[str, BaseDistribution] = {f"{name}{i}": FloatDistribution(-1, 1) for i in range(200)}
    study = optuna.create_study(study_name="s", sampler=DESampler(seed=0))
    for _ in range(14):
        trial = study.ask(box)
        study.tell(trial, sum(trial.params.values()))
    assert operator in {plan.operator for plan in plans(study)}
    assert max(len(json.dumps(t.system_attrs[PLAN_KEY])) for t in study.trials) < 65535


def test_accepted_children_only() -> None:
    study = run(ellipsoid, 100, accept=lambda params: params.get("x0", 0) <= 0.5)
    drawn = [t for t in study.trials if t.number > 0]
    assert all(t.params["x0"] <= 0.5 for t in drawn)


@pytest.mark.parametrize("loss", [np.inf, 0.0])
def test_losses_that_are_all_equal_do_no_harm(loss: float) -> None:
    study = run(lambda trial: loss * bool(np.isfinite(ellipsoid(trial))), 60)
    assert len({tuple(t.params.values()) for t in study.trials}) == 60


def test_many_dimensions_adapt_variances_only() -> None:
    def objective(trial: optuna.Trial) -> float:
        return sum(trial.suggest_float(f"x{i}", -5, 5) ** 2 for i in range(SEPARABLE + 20))

    study = run(objective, 150)
    assert {"cma", "model"} <= {plan.operator for plan in plans(study)}


def calls_of_an_ask(sampler: optuna.samplers.BaseSampler, size: int) -> float:
    """Return how many functions ask and tell call in the median, after ``size`` trials."""
    rng, counts = np.random.default_rng(0), list[int]()
    box: dict[str, BaseDistribution] = {f"x{i}": FloatDistribution(0, 1) for i in range(10)}
    study = optuna.create_study(sampler=sampler)
    for _ in range(size):
        values = dict(zip(box, rng.random(10).tolist(), strict=True))
        study.add_trial(create_trial(params=values, distributions=box, value=rng.random()))
    for lap in range(12):
        counts.append(0)
        sys.setprofile(lambda _, event, __: counts.append(counts.pop() + event.endswith("call")))
        study.tell(study.ask(box), float(lap))
        sys.setprofile(None)
    return float(np.median(counts))


def test_an_ask_costs_no_more_calls_after_many_trials_and_few_more_than_random() -> None:
    few, many = (calls_of_an_ask(DESampler(seed=0), size) for size in (200, 2000))
    assert many < 1.05 * few
    assert many < 2 * calls_of_an_ask(optuna.samplers.RandomSampler(seed=0), 200)
