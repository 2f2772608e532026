"""Faults of storages and workers: real servers, real processes, really killed.

Rows F1 to F14, F31, F33 to F35 of the fault list; each test names its row.
"""

from __future__ import annotations

import logging
import os
import random
import re
import signal
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from optuna_de import _compat, _rdb
from optuna_de._reaper import OWED, parent
from optuna_de.storage import StorageError, open_storage, requeue_stale
from optuna_de.worker import optimize
from tests import servers, storage_worker
from tests.storage_worker import GRACE, objective, spawn, study_of, together

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals"),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


@pytest.fixture(scope="module")
def postgres() -> Iterator[servers.Server]:
    yield from _server(servers.postgres)


@pytest.fixture(scope="module")
def mariadb() -> Iterator[servers.Server]:
    yield from _server(servers.mariadb)


def _server(start: Any) -> Iterator[servers.Server]:
    # Not pytest's folder: each pytest that starts closes it to the server's user.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        try:
            with start(Path(folder)) as server:
                yield server
        except servers.Unavailable as why:
            pytest.skip(str(why))


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    storage_worker.close_all()


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    return str(request.getfixturevalue(request.param).database())


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def age_heartbeats(study: optuna.Study) -> None:
    """Make every running trial's heartbeat an hour old."""
    storage = open_storage_of(study)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        storage.record_heartbeat(_compat.trial_id(trial))
    with storage.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trial_heartbeats SET heartbeat='2020-01-01 00:00:00'")


def open_storage_of(study: optuna.Study) -> _rdb.ResilientRDBStorage:
    storage = study._storage._backend  # type: ignore[attr-defined]
    assert isinstance(storage, _rdb.ResilientRDBStorage)
    return storage


def ask_quietly(study: optuna.Study, n: int = 1) -> list[optuna.Trial]:
    logging.disable(logging.NOTSET)
    with pytest.warns(UserWarning, match="Heartbeat"):
        return [study.ask() for _ in range(n)]


def root(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> int:
    while (older := parent(trial)) is not None:
        trial = study.trials[older]
    return trial.number


def assert_each_root_complete_once(study: optuna.Study, total: int) -> None:
    states = Counter(t.state for t in study.trials)
    assert states[TrialState.RUNNING] == 0, states
    done = Counter(root(study, t) for t in study.trials if t.state == TrialState.COMPLETE)
    assert set(done.values()) == {1}
    assert sum(done.values()) == total


def test_f1_f2_f3_numbers_pops_and_retries_are_unique(url: str) -> None:
    study = study_of(url)
    for i in range(100):
        study.enqueue_trial({"i": i})
    popped = sorted(i for some in together(url, storage_worker.pop) for i in some)
    assert popped == list(range(100))

    numbers = [n for some in together(url, storage_worker.create) for n in some]
    assert len(set(numbers)) == 200


def test_f2_of_many_reapers_one_queues_each_trial(url: str) -> None:
    study = study_of(url)
    ask_quietly(study, 20)
    age_heartbeats(study)
    together(url, storage_worker.reap)
    states = Counter(t.state for t in study.trials)
    assert states == {TrialState.FAIL: 20, TrialState.WAITING: 20}
    assert set(Counter(parent(t) for t in study.trials[20:]).values()) == {1}


@pytest.mark.parametrize("kind", ["sqlite", "journal", "postgres"])
def test_f4_f31_killed_workers_lose_and_repeat_nothing(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"{kind}:///{tmp_path}/study"
    if kind == "postgres":
        url = request.getfixturevalue("postgres").database()
    rng, total = random.Random(0), 30
    workers = [spawn(storage_worker.work, url, total, 0.15) for _ in range(4)]
    for _ in range(4):
        time.sleep(0.6)
        victim = rng.randrange(4)
        workers[victim].kill()
        workers[victim] = spawn(storage_worker.work, url, total, 0.15)
    for worker in workers:
        worker.join(40)
    assert [w.exitcode for w in workers] == [0] * 4
    assert_each_root_complete_once(study_of(url), total)


def test_f5_a_paused_worker_survives_and_its_late_result_is_dropped(sqlite: str) -> None:
    study = study_of(sqlite)
    paused = spawn(storage_worker.work, sqlite, 2, 1.0)
    servers.wait_for(lambda: any(t.params for t in study.trials), 20, "no trial")
    os.kill(paused.pid or 0, signal.SIGSTOP)
    time.sleep(GRACE + 1.1)
    helper = spawn(storage_worker.work, sqlite, 2, 0.5)
    servers.wait_for(lambda: study.trials[0].state == TrialState.FAIL, 20, "not reaped")
    os.kill(paused.pid or 0, signal.SIGCONT)
    for worker in (paused, helper):
        worker.join(30)
        assert worker.exitcode == 0
    assert study.trials[0].state == TrialState.FAIL
    assert_each_root_complete_once(study, 2)


def test_f6_death_before_the_first_heartbeat_is_found(sqlite: str) -> None:
    study = study_of(sqlite)
    spawn(storage_worker.die_before_first_heartbeat, sqlite).join(20)
    assert [t.state for t in study.trials] == [TrialState.RUNNING]
    started = time.monotonic()
    optimize(study, objective(0), total=1)
    assert GRACE <= time.monotonic() - started < 2 * GRACE + 1
    assert_each_root_complete_once(study, 1)


def test_f7_a_heartbeat_error_ends_no_thread(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    beats = []

    def broken(self: object, trial_id: int) -> None:
        beats.append(trial_id)
        if len(beats) == 2:
            raise sqlalchemy.exc.OperationalError("x", {}, Exception("gone"))

    monkeypatch.setattr(_compat.HeartbeatRDBStorage, "record_heartbeat", broken)
    study = study_of(sqlite)
    study.optimize(objective(2.5), n_trials=1)
    assert len(beats) >= 3
    assert [t.state for t in study.trials] == [TrialState.COMPLETE]


def test_f8_a_lock_held_for_seconds_only_delays(sqlite: str) -> None:
    study = study_of(sqlite)
    holder = sqlite3.connect(sqlite.removeprefix("sqlite:///"), check_same_thread=False)
    holder.isolation_level = None

    def held(trial: optuna.Trial) -> float:
        holder.execute("BEGIN EXCLUSIVE")
        threading.Timer(3, holder.execute, ["ROLLBACK"]).start()
        return trial.suggest_float("x", 0, 1)

    started = time.monotonic()
    study.optimize(held, n_trials=1)
    assert 3 <= time.monotonic() - started < 8
    assert [t.state for t in study.trials] == [TrialState.COMPLETE]
    time.sleep(0.1)
    holder.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_f9_a_worker_outlives_its_database(postgres: servers.Server, how: int) -> None:
    study = study_of(postgres.database())

    def restart_inside(trial: optuna.Trial) -> float:
        first = trial.suggest_int("a", 0, 9)
        postgres.stop(how)
        threading.Timer(0.5, postgres.start).start()
        return first + trial.suggest_int("b", 0, 9)

    outcome = optimize(study, restart_inside, total=1)
    assert outcome.finished == 1
    (trial,) = study.trials
    assert trial.value == trial.params["a"] + trial.params["b"]


def test_f10_a_connection_that_was_idled_out_is_replaced(
    mariadb: servers.Server, postgres: servers.Server
) -> None:
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid<>pg_backend_pid()"
    for server, statement in ((mariadb, "SET GLOBAL wait_timeout=1"), (postgres, kill)):
        engine = sqlalchemy.create_engine(server.admin)

        def idle(trial: optuna.Trial, engine: Any = engine, statement: str = statement) -> float:
            trial.suggest_float("x", 0, 1)
            with engine.begin() as connection:
                connection.exec_driver_sql(statement)
            time.sleep(1.5)
            return trial.suggest_float("y", 0, 1)

        study = study_of(server.database(), heartbeat_interval=None)
        outcome = optimize(study, idle, total=2)
        assert (outcome.finished, outcome.failed) == (2, 0)
        engine.dispose()


def test_f12_a_read_only_database_is_waited_for(
    postgres: servers.Server, caplog: pytest.LogCaptureFixture
) -> None:
    study = study_of(postgres.database())
    engine = sqlalchemy.create_engine(postgres.admin, isolation_level="AUTOCOMMIT")

    def switch(to: str) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"ALTER SYSTEM SET default_transaction_read_only={to}")
            connection.exec_driver_sql("SELECT pg_reload_conf()")

    def run(trial: optuna.Trial) -> float:
        switch("on")
        time.sleep(0.3)
        threading.Timer(1.5, switch, ["off"]).start()
        return trial.suggest_float("x", 0, 1)

    assert optimize(study, run, total=1).finished == 1
    assert "read-only transaction" in caplog.text
    engine.dispose()


def test_f13_a_reaper_that_died_itself_is_repaired(sqlite: str) -> None:
    study = study_of(sqlite)
    ask_quietly(study)
    age_heartbeats(study)
    killed = spawn(storage_worker.die_while_reaping, sqlite)
    killed.join(20)
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
    servers.wait_for(lambda: any(t.params for t in study.trials), 20, "no trial")
    sent = time.monotonic()
    os.kill(worker.pid or 0, number)
    worker.join(10)
    assert time.monotonic() - sent < 3
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


def test_f35_the_password_stays_secret(
    postgres: servers.Server, mariadb: servers.Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = re.compile(re.escape(servers.PASSWORD) + "|s3cret|pa:ss|pa%3Ass")
    for server in (postgres, mariadb):
        study = study_of(server.database())
        study.optimize(objective(0), n_trials=1)
        with pytest.raises(TypeError, match="not pickled") as refused:
            open_storage_of(study).__getstate__()
        wrong = server.admin.replace("tester:", "tester:s3cretx")
        with pytest.raises(StorageError, match=re.escape("***")) as error:
            open_storage(wrong)
        assert not secrets.search(str(error.value) + str(refused.value))
        assert error.value.__suppress_context__
    assert not secrets.search(caplog.text)
