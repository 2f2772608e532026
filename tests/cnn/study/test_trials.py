"""Laws of a trial's records: a violation is seen by the dashboard and counted once."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.samplers import NSGAIISampler, TPESampler

from optuna_de import DESampler, open_storage
from optuna_de.cnn.study.attributes import record_violation
from optuna_de.evolution.population import Rules
from optuna_de.sampler.history import History


def violating(trial: optuna.Trial) -> tuple[float, float]:
    x = trial.suggest_float("x", 0, 1)
    if x > 0.3:
        record_violation(trial, "parameters", 100 * x, "Too large.")
    return x, 1 - x


@pytest.fixture(params=["sqlite", "journal"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.Study:
    storage = open_storage(f"{request.param}:///{tmp_path}/s", heartbeat_interval=None)
    study = optuna.create_study(
        storage=storage, directions=["minimize"] * 2, sampler=DESampler(seed=0, population_size=5)
    )
    study.optimize(violating, n_trials=12)
    return study


def test_a_violation_counts_once(study: optuna.Study) -> None:
    history = History(Rules(5, 5), study.study_name, study.directions)
    history.update(study.trials)
    over = [t for t in study.trials if t.params["x"] > 0.3]
    assert over
    for trial in study.trials:
        violation = 100 * trial.params["x"] if trial in over else 0.0
        assert sum(trial.constraints.values()) == violation
        assert trial.constraints.get("parameters", 0.0) == violation
        member = history._member(trial, history.canonical(trial.params))
        assert member is not None
        assert member.violation == violation
    assert all(t.params["x"] <= 0.3 for t in study.best_trials)


def test_the_list_of_the_dashboard_says_it_too(study: optuna.Study) -> None:
    for trial in study.trials:
        listed = trial.system_attrs.get("constraints", [])
        assert any(c > 0 for c in listed) == (trial.params["x"] > 0.3)


@pytest.mark.parametrize("sampler", [NSGAIISampler, TPESampler])
def test_samplers_of_optuna_go_on(
    study: optuna.Study, sampler: type[optuna.samplers.BaseSampler]
) -> None:
    study.sampler = sampler()
    study.optimize(violating, n_trials=8)
    assert len(study.trials) == 20
