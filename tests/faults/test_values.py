"""Faults of objectives, spaces and views: rows F20, F21, F22 and F27 of the fault list."""

from __future__ import annotations

import math
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from optuna_de import DESampler
from optuna_de.evolution.population import Rules
from optuna_de.sampler.history import History
from optuna_de.worker.optimize import TooManyFailuresError, optimize
from tests.databases import SQLITE_FIRST
from tests.drills import POSIX
from tests.faults import storage_worker
from tests.faults.storage_worker import CALM, study_of, together

pytest_plugins = ["tests.databases"]
pytestmark = [
    POSIX,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (math.nan, TrialState.FAIL),
        (None, TrialState.FAIL),
        ("much", TrialState.FAIL),
        ((1.0, 2.0), TrialState.FAIL),
        (-math.inf, TrialState.FAIL),
        (math.inf, TrialState.COMPLETE),
        (np.float32(0.5), TrialState.COMPLETE),
        (np.array(0.5), TrialState.COMPLETE),
    ],
)
def test_f20_each_value_has_its_state_and_no_nan_breeds(value: Any, state: TrialState) -> None:
    study = optuna.create_study(sampler=DESampler(seed=0, population_size=4))

    def run(trial: optuna.Trial) -> Any:
        x = trial.suggest_float("x", 0, 1)
        return value if trial.number % 5 == 2 else x

    optimize(study, run, total=15)
    assert {t.state for t in study.trials if t.number % 5 == 2} == {state}
    assert sum(t.state == TrialState.COMPLETE for t in study.trials) >= 12
    history = History(Rules(4, 4), "s", study.directions)
    history.update(study.trials)
    assert history.population
    assert all(
        math.isfinite(v) for member in history.population for v in member.losses or [math.nan]
    )


def test_f21_nothing_but_failures_stops_the_worker(tmp_path: Path) -> None:
    study = study_of(f"sqlite:///{tmp_path}/a.db", **CALM)
    study.sampler = DESampler(seed=0)

    def broken(trial: optuna.Trial) -> float:
        raise RuntimeError(f"no data at {trial.suggest_float('x', 0, 1)}")

    with pytest.raises(TooManyFailuresError, match="last 7 trials failed"):
        optimize(study, broken, max_failures=7)
    assert [t.state for t in study.trials] == [TrialState.FAIL] * 7


def as_seen(trial: FrozenTrial, finished: bool) -> FrozenTrial:
    """Return the trial as a worker saw it that did not know its end."""
    seen = copy(trial)
    if not finished:
        seen.state, seen.values, seen.datetime_complete = TrialState.RUNNING, None, None
    return seen


@pytest.mark.parametrize("url", SQLITE_FIRST, indirect=True)
def test_f22_workers_that_know_the_same_trials_have_the_same_population(url: str) -> None:
    decisions = [d for some in together(url, storage_worker.decide, 4) for d in some]
    study = study_of(url, **CALM)
    trials, directions = study.trials, study.directions
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 48
    for finished, population in decisions:
        known = set(finished)
        # Half a population of five is too few to select from: four start.
        history = History(Rules(5, 1, startup=4), "s", directions)
        history.update([as_seen(t, t.number in known) for t in trials])
        assert [member.number for member in history.population] == population
    assert max(len(finished) for finished, _ in decisions) > 30


def test_f27_a_changed_space_crashes_nothing(tmp_path: Path) -> None:
    study = study_of(f"sqlite:///{tmp_path}/a.db", **CALM)
    study.sampler = DESampler(seed=0, population_size=4)

    def before(trial: optuna.Trial) -> float:
        return trial.suggest_int("n", 0, 4) + trial.suggest_float("gone", 0, 1)

    def after(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("new", ["a", "b"])
        return trial.suggest_int("n", 3, 9) + len(kind)

    def other_choices(trial: optuna.Trial) -> float:
        return len(trial.suggest_categorical("new", ["a", "b", "c"]))

    optimize(study, before, total=10)
    assert optimize(study, after, total=30).finished == 20
    assert all(3 <= t.params["n"] <= 9 for t in study.trials[10:])
    with pytest.raises(TooManyFailuresError):
        optimize(study, other_choices, max_failures=3)
    assert [t.state for t in study.trials[30:]] == [TrialState.FAIL] * 3
    assert optimize(study, after, total=32).finished == 2
