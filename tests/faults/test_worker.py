"""Faults of workers on SQLite and journals: real processes, really killed; no server.

Rows F4 to F8, F12, F14 and F31 of the fault list; each test names its row.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from optuna_de._compat import rdb
from optuna_de.worker.optimize import optimize
from tests import servers
from tests.drills import POSIX
from tests.faults import storage_worker
from tests.faults.storage_worker import (
    GRACE,
    PATIENCE,
    assert_each_root_complete_once,
    objective,
    spawn,
    study_of,
)

pytest_plugins = ["tests.databases"]
pytestmark = [
    POSIX,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


def wait_finished(study: optuna.Study, count: int) -> None:
    complete = (TrialState.COMPLETE,)
    servers.wait_for(lambda: len(study.get_trials(states=complete)) >= count, PATIENCE, "none")


def test_f4_f31_killed_workers_lose_and_repeat_nothing(sqlite: str) -> None:
    """Other storages and pauses: ``python -m benchmarks.sharing.chaos``."""
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

    monkeypatch.setattr(rdb.HeartbeatRDBStorage, "record_heartbeat", broken)
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
