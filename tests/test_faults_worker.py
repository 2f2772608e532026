"""Faults of workers on SQLite and journals: real processes, really killed; no server.

Rows F4 to F8, F12 to F14, F24, F31, F33, F34 and F36 of the fault list; each test names its row.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from optuna_de import DESampler, _compat
from optuna_de._reaper import BEAT, OWED, Reaper
from optuna_de.cnn import artifacts
from optuna_de.population import History, Rules
from optuna_de.storage import StorageError, open_storage, requeue_stale
from optuna_de.worker import optimize
from tests import servers, storage_worker
from tests.storage_worker import (
    CALM,
    GRACE,
    PATIENCE,
    age_heartbeats,
    ask_quietly,
    assert_each_root_complete_once,
    objective,
    spawn,
    study_of,
)

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals"),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    storage_worker.close_all()


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def wait_finished(study: optuna.Study, count: int) -> None:
    complete = (TrialState.COMPLETE,)
    servers.wait_for(lambda: len(study.get_trials(states=complete)) >= count, PATIENCE, "none")


def test_f4_f31_killed_workers_lose_and_repeat_nothing(sqlite: str) -> None:
    """Other storages and pauses: ``python -m benchmarks.chaos``."""
    rng, total = random.Random(0), 16
    workers = [spawn(storage_worker.work, sqlite, total, 0.15) for _ in range(4)]
    study = study_of(sqlite)
    for kill in range(3):
        wait_finished(study, 2 * kill + 1)
        victim = rng.randrange(4)
        workers[victim].kill()
        workers[victim] = spawn(storage_worker.work, sqlite, total, 0.15)
    for worker in workers:
        worker.join(PATIENCE)
    assert [w.exitcode for w in workers] == [0] * 4
    assert_each_root_complete_once(study, total)


def test_f5_a_paused_worker_survives_and_its_late_result_is_dropped(sqlite: str) -> None:
    study = study_of(sqlite)
    paused = spawn(storage_worker.work, sqlite, 2, 1.0)
    servers.wait_for(lambda: any(t.params for t in study.trials), PATIENCE, "no trial")
    os.kill(paused.pid or 0, signal.SIGSTOP)
    time.sleep(GRACE + 1.1)
    helper = spawn(storage_worker.work, sqlite, 2, 0.5)
    servers.wait_for(lambda: study.trials[0].state == TrialState.FAIL, PATIENCE, "not reaped")
    os.kill(paused.pid or 0, signal.SIGCONT)
    for worker in (paused, helper):
        worker.join(PATIENCE)
        assert worker.exitcode == 0
    assert study.trials[0].state == TrialState.FAIL
    assert_each_root_complete_once(study, 2)


def test_f6_death_before_the_first_heartbeat_is_found(sqlite: str) -> None:
    study = study_of(sqlite)
    spawn(storage_worker.die_before_first_heartbeat, sqlite).join(PATIENCE)
    assert [t.state for t in study.trials] == [TrialState.RUNNING]
    started = time.monotonic()
    optimize(study, objective(0), total=1)
    assert GRACE <= time.monotonic() - started < 2 * GRACE + 10
    assert_each_root_complete_once(study, 1)


def test_f7_a_heartbeat_error_ends_no_thread(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    beats = []

    def broken(self: object, trial_id: int) -> None:
        beats.append(trial_id)
        if len(beats) == 2:
            raise sqlalchemy.exc.OperationalError("x", {}, Exception("gone"))

    monkeypatch.setattr(_compat.HeartbeatRDBStorage, "record_heartbeat", broken)
    study = study_of(sqlite)

    def outlast(_: optuna.Trial) -> float:
        servers.wait_for(lambda: len(beats) >= 3, PATIENCE, "the thread ended")
        return 0.0

    study.optimize(outlast, n_trials=1)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE]


def test_f8_a_lock_held_for_seconds_only_delays(sqlite: str) -> None:
    study = study_of(sqlite)
    holder = sqlite3.connect(sqlite.removeprefix("sqlite:///"), check_same_thread=False)
    holder.isolation_level = None

    def held(trial: optuna.Trial) -> float:
        holder.execute("BEGIN EXCLUSIVE")
        threading.Timer(2, holder.execute, ["ROLLBACK"]).start()
        return trial.suggest_float("x", 0, 1)

    started = time.monotonic()
    study.optimize(held, n_trials=1)
    assert 2 <= time.monotonic() - started < 30
    assert [t.state for t in study.trials] == [TrialState.COMPLETE]
    servers.wait_for(lambda: not holder.in_transaction, PATIENCE, "still locked")
    holder.close()


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_f14_a_signal_gives_the_trial_back(sqlite: str, number: int) -> None:
    study = study_of(sqlite)
    worker = spawn(storage_worker.work, sqlite, 5, 30.0)
    servers.wait_for(lambda: any(t.params for t in study.trials), PATIENCE, "no trial")
    sent = time.monotonic()
    os.kill(worker.pid or 0, number)
    worker.join(PATIENCE)
    assert time.monotonic() - sent < 15
    assert worker.exitcode == 128 + number
    failed, clone = study.trials
    assert (failed.state, clone.state) == (TrialState.FAIL, TrialState.WAITING)
    assert clone.params == failed.params
    assert clone.user_attrs["checkpoint"] == 0


def test_f14_an_objective_that_does_not_listen_is_interrupted(sqlite: str) -> None:
    study = study_of(sqlite)

    def deaf(trial: optuna.Trial) -> float:
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGTERM]).start()
        time.sleep(20)
        return 0.0

    outcome = optimize(study, deaf, total=3, grace=0.3)
    assert (outcome.given_back, outcome.signal) == (1, signal.SIGTERM)
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_f33_a_torn_journal_line_and_a_stale_lock_are_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna_de.storage.LOCK_GRACE", 3)
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
    real, calls = _compat.HeartbeatRDBStorage.set_trial_state_values, []

    def answers_late(self: object, *args: Any) -> bool:
        done = real(self, *args)  # type: ignore[arg-type]
        calls.append(args)
        if len(calls) == 1:
            raise sqlalchemy.exc.OperationalError("x", {}, Exception("gone"))
        return done

    monkeypatch.setattr(_compat.HeartbeatRDBStorage, "set_trial_state_values", answers_late)


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


def test_f12_a_full_disk_is_waited_for(sqlite: str) -> None:
    study = study_of(sqlite)
    worker = spawn(storage_worker.work_on_a_full_disk, sqlite)
    worker.join(PATIENCE)
    assert worker.exitcode == 0
    (trial,) = study.trials
    assert trial.state == TrialState.COMPLETE
    assert len(trial.params) == 40
    assert trial.user_attrs["errors"] > 0
    with sqlite3.connect(sqlite.removeprefix("sqlite:///")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


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
        reap()
        time.sleep(0.06)
        assert study.trials[0].state == TrialState.RUNNING
    reap()
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
        with pytest.raises(ValueError, match="Invalid artifact_id"):
            artifacts.read(trial, store)
