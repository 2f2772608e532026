"""Faults of what a study keeps: lost answers, dead reapers, copies, journals, clocks, names.

Rows F2, F9, F13, F24, F26, F33, F34 and F36 of the fault list on SQLite and journals; no server.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from optuna_de import DESampler, _compat
from optuna_de._compat import rdb
from optuna_de.cnn.study import artifacts
from optuna_de.evolution.population import Rules
from optuna_de.sampler.history import History
from optuna_de.sampler.plan import PLAN_KEY
from optuna_de.storage import StorageError, requeue_stale
from optuna_de.storage.open_storage import open_storage
from optuna_de.storage.stale_trials import BEAT, OWED, Reaper
from optuna_de.worker.ask_tell import give_back
from optuna_de.worker.optimize import optimize
from tests.drills import POSIX
from tests.faults import storage_worker
from tests.faults.storage_worker import (
    CALM,
    PATIENCE,
    age_heartbeats,
    ask_quietly,
    spawn,
    study_of,
)

pytest_plugins = ["tests.databases"]
pytestmark = [
    POSIX,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


def test_f13_a_reaper_that_died_itself_is_repaired(sqlite: str) -> None:
    study = study_of(sqlite)
    ask_quietly(study)
    age_heartbeats(study)
    killed = spawn(storage_worker.die_while_reaping, sqlite)
    killed.join(PATIENCE)
    assert killed.exitcode == 9
    assert [t.state for t in study.trials] == [TrialState.FAIL]
    assert study.trials[0].system_attrs[OWED] == 0
    assert requeue_stale(study, older_than=60) == [0]
    assert requeue_stale(study, older_than=60) == []
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def test_f14_what_a_worker_gave_back_uses_up_no_retry(sqlite: str) -> None:
    study = study_of(sqlite)
    for _ in range(3):
        give_back(study, *ask_quietly(study))
    for deaths in range(1, 5):
        ask_quietly(study)
        age_heartbeats(study)
        assert requeue_stale(study, older_than=60) == [2 + deaths]
        waiting = [t for t in study.trials if t.state == TrialState.WAITING]
        assert len(waiting) == (deaths <= 3), deaths
    assert requeue_stale(study, older_than=60) == []  # the last one is owed nothing


def test_f33_a_torn_journal_line_and_a_stale_lock_are_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna_de.storage.journal_file.LOCK_GRACE", 3)
    file = tmp_path / "j.log"
    study_of(f"journal://{file}").optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"op_code": 4, "wor')
    (tmp_path / "j.log.lock").touch()
    study = study_of(f"journal://{file}")
    assert len(study.trials) == 2
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)
    assert len(study_of(f"journal://{file}").trials) == 3
    file.write_bytes(whole[:40] + b"\n" + whole[40:])
    with pytest.raises(StorageError, match="cannot be read"):
        open_storage(f"journal://{file}")


@pytest.fixture
def lost_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the answer to the first change of a state get lost after its commit."""
    real, calls = rdb.HeartbeatRDBStorage.set_trial_state_values, []

    def answers_late(self: object, *args: Any) -> bool:
        done = real(self, *args)  # type: ignore[arg-type]
        calls.append(args)
        if len(calls) == 1:
            raise sqlalchemy.exc.OperationalError("x", {}, Exception("gone"))
        return done

    monkeypatch.setattr(rdb.HeartbeatRDBStorage, "set_trial_state_values", answers_late)


@pytest.mark.usefixtures("lost_commit")
def test_f9_a_commit_whose_answer_was_lost_is_no_error(sqlite: str) -> None:
    study = study_of(sqlite, **CALM)
    assert optimize(study, lambda t: 1.0, total=1).finished == 1
    assert [(t.state, t.value) for t in study.trials] == [(TrialState.COMPLETE, 1.0)]


@pytest.mark.usefixtures("lost_commit")
def test_f2_a_reaper_whose_answer_was_lost_queues_once(sqlite: str) -> None:
    study = study_of(sqlite, **CALM)
    ask_quietly(study)
    age_heartbeats(study)
    optuna.storages.fail_stale_trials(study)
    assert [t.state for t in study.trials] == [TrialState.FAIL]
    assert requeue_stale(study, older_than=60) == [0]
    assert requeue_stale(study, older_than=60) == []
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def test_f24_a_study_copied_beside_another_breeds_from_the_same_parents(tmp_path: Path) -> None:
    first, second = (f"sqlite:///{tmp_path}/{name}.db" for name in "ab")
    study = study_of(first)
    study.sampler = DESampler(population_size=5, seed=0)
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=15)
    study_of(second, "other").optimize(lambda t: 0.0, n_trials=3)
    old, new = (s._storage._backend for s in (study, study_of(second, "other")))  # type: ignore[attr-defined]
    optuna.copy_study(from_study_name="s", from_storage=old, to_storage=new)
    copies = (study, optuna.load_study(study_name="s", storage=new))
    ids = [[_compat.trial_id(t) for t in copy.trials] for copy in copies]
    assert ids[1] == [i + 3 for i in ids[0]]
    bred = []
    for copy in copies:
        copy.sampler = DESampler(population_size=5, seed=0)
        history = History(Rules(5, 5), "s", copy.directions)
        history.update(copy.trials)
        copy.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)
        last = copy.trials[-1]
        bred.append((history.population, last.params, last.system_attrs))
    assert bred[0] == bred[1]
    assert bred[0][0]


def test_f34_a_clock_that_is_wrong_by_an_hour_makes_nothing_stale(tmp_path: Path) -> None:
    """Databases compare heartbeats by their own clock; here a beat only has to change."""
    study = study_of(f"journal:///{tmp_path}/a.log")
    trial, reap = study.ask(), Reaper(study, grace=0.05)
    for count in range(3):
        beat = [time.time() - 3600, count]
        _compat.set_system_attr(study, _compat.frozen(trial), BEAT, beat)
        reap(study.trials)
        time.sleep(0.06)
        assert study.trials[0].state == TrialState.RUNNING
    reap(study.trials)
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
@pytest.mark.parametrize("name", ["../../outside", "/outside", "a/../../b", "<script>", "'; DROP"])
def test_f36_a_study_name_names_no_file(kind: str, name: str, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    study = study_of(f"{kind}:///{inner}/study", name, **CALM)
    optimize(study, lambda t: t.suggest_float("../../x", 0, 1), total=1)
    assert study_of(f"{kind}:///{inner}/study", name, **CALM).study_name == name
    assert list(tmp_path.iterdir()) == [inner]
    assert {p.name.split("-")[0] for p in inner.iterdir()} <= {"study", "study.lock"}


def test_f36_an_artifact_of_a_hostile_study_reads_no_file_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key")
    store = artifacts.open_store(tmp_path / "inner")
    digest = hashlib.sha256(b"key").hexdigest()
    for identity in ("../secret", f"{tmp_path}/secret", "a/../../secret"):
        entry = {"drawing.svg": {"artifact": identity, "sha256": digest}}
        trial = optuna.trial.create_trial(value=0.0, system_attrs={artifacts.FILES_KEY: entry})
        assert artifacts.read(trial, store) == {}


def test_f26_a_study_goes_on_under_other_options_as_if_it_had_them_from_the_start(
    sqlite: str,
) -> None:
    study = study_of(sqlite)
    study.sampler = DESampler(population_size=5, seed=0)
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=30)
    study.sampler = DESampler(population_size=8, seed=0)
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)
    parents = study.trials[-1].system_attrs[PLAN_KEY]["parents"]
    best = sorted(study.trials[:-1], key=lambda t: t.value or 0.0)[:8]
    assert set(parents) <= {t.number for t in best}
    two = DESampler(population_size=5, weights=(0.7, 0.3), seed=0)
    other = optuna.load_study(study_name="s", storage=open_storage(sqlite), sampler=two)
    with pytest.raises(ValueError, match="the study has 1 objectives"):
        other.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)
