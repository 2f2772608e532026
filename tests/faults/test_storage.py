"""Faults of databases: SQLite, PostgreSQL and MariaDB, real servers, many processes.

Rows F1 to F3, F9, F10, F12, F30 and F35 of the fault list; each test names its row.
"""

from __future__ import annotations

import logging
import re
import signal
import threading
import time
import traceback
from collections import Counter
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from optuna_de.storage import StorageError, backoff
from optuna_de.storage.open_storage import open_storage
from optuna_de.storage.stale_trials import parent
from optuna_de.worker.optimize import optimize
from tests import servers
from tests.databases import SQLITE_AND_POSTGRES
from tests.drills import KILL, POSIX
from tests.faults import storage_worker
from tests.faults.storage_worker import (
    CALM,
    age_heartbeats,
    ask_quietly,
    objective,
    open_storage_of,
    study_of,
    together,
)

pytest_plugins = ["tests.databases"]
pytestmark = [
    POSIX,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid<>pg_backend_pid()"


@pytest.mark.parametrize("url", SQLITE_AND_POSTGRES, indirect=True)
def test_f1_f2_f3_numbers_pops_and_retries_are_unique(url: str) -> None:
    study = study_of(url, **CALM)
    for i in range(40):
        study.enqueue_trial({"i": i})
    popped, numbers = zip(*together(url, storage_worker.pop_and_create), strict=True)
    assert sorted(i for some in popped for i in some) == list(range(40))
    assert len({n for some in numbers for n in some}) == 200


@pytest.mark.parametrize("url", SQLITE_AND_POSTGRES, indirect=True)
def test_f2_of_many_reapers_one_queues_each_trial(url: str) -> None:
    study = study_of(url, **CALM)
    ask_quietly(study, 20)
    age_heartbeats(study)
    together(url, storage_worker.reap)
    states = Counter(t.state for t in study.trials)
    assert states == {TrialState.FAIL: 20, TrialState.WAITING: 20}
    assert set(Counter(parent(t) for t in study.trials[20:]).values()) == {1}


@pytest.mark.parametrize("how", [signal.SIGINT, KILL])
def test_f9_a_worker_outlives_its_database(postgres: servers.Server, how: int) -> None:
    study = study_of(postgres.database(), **CALM)

    def restart_inside(trial: optuna.Trial) -> float:
        first = trial.suggest_int("a", 0, 9)
        postgres.stop(how)
        threading.Timer(0.5, postgres.start).start()
        return first + trial.suggest_int("b", 0, 9)

    outcome = optimize(study, restart_inside, total=1)
    assert outcome.finished == 1
    (trial,) = study.trials
    assert trial.value == trial.params["a"] + trial.params["b"]


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_f9_a_storage_opens_while_its_server_restarts(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RESTART", storage_worker.PATIENCE)
    server = request.getfixturevalue(kind)
    url = server.database()
    server.stop(signal.SIGKILL)
    threading.Timer(1.0, server.start).start()
    assert study_of(url, **CALM).trials == []


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_what_no_wait_would_cure_is_refused_at_once(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits(_seconds: float) -> None:
        raise AssertionError("it waits")

    monkeypatch.setattr("tenacity.nap.time.sleep", waits)
    right = sqlalchemy.make_url(request.getfixturevalue(kind).admin)
    for wrong in (
        right.set(password="no"),
        right.set(host="no-such-host.invalid"),
        right.set(database="no"),
    ):
        with pytest.raises(StorageError, match="Cannot open"):
            open_storage(wrong.render_as_string(hide_password=False))


def test_f9_a_connection_lost_between_two_reads_is_replaced(postgres: servers.Server) -> None:
    study = study_of(postgres.database(), **CALM)
    ask_quietly(study)
    admin, cut = sqlalchemy.create_engine(postgres.admin), list[str]()

    def lose(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM trial_intermediate_values" in statement and not cut:
            cut.append(statement)
            with admin.begin() as connection:
                connection.exec_driver_sql(CUT_OFF)

    sqlalchemy.event.listen(open_storage_of(study).engine, "before_cursor_execute", lose)
    assert [t.state for t in study.trials] == [TrialState.RUNNING]
    assert cut
    admin.dispose()


@pytest.mark.parametrize(
    ("kind", "statement", "idle"),
    [
        ("mariadb", "SELECT 1", 1.5),
        ("postgres", CUT_OFF, 0.1),
    ],
)
def test_f10_a_connection_that_was_idled_out_is_replaced(
    kind: str, statement: str, idle: float, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(kind)
    engine = sqlalchemy.create_engine(server.admin)

    def run(sql: str) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql(sql)

    def waits(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 0, 1)
        run(statement)
        time.sleep(idle)
        return trial.suggest_float("y", 0, 1)

    url = server.database()
    run("SET GLOBAL wait_timeout=1" if kind == "mariadb" else "SELECT 1")
    try:
        outcome = optimize(study_of(url, heartbeat_interval=None), waits, total=2)
    finally:
        run("SET GLOBAL wait_timeout=28800" if kind == "mariadb" else "SELECT 1")
        engine.dispose()
    assert (outcome.finished, outcome.failed) == (2, 0)


def test_f12_a_read_only_database_is_waited_for(
    postgres: servers.Server, caplog: pytest.LogCaptureFixture
) -> None:
    study = study_of(postgres.database(), **CALM)
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


def test_f30_long_names_and_many_choices_fit_or_are_refused(url: str) -> None:
    study = study_of(url, "s" * 512, **CALM)
    assert study_of(url, "s" * 512, **CALM).study_name == study.study_name
    name, choices = "p" * 512, [f"choice {i}" for i in range(3000)]
    study.optimize(lambda t: len(t.suggest_categorical(name, choices)), n_trials=2)
    assert [list(t.params) for t in study.trials] == [[name], [name]]
    if not url.startswith("sqlite"):
        trial = ask_quietly(study)[0]
        for refused in (
            lambda: trial.suggest_float("p" * 513, 0, 1),
            lambda: study_of(url, "s" * 513, **CALM),
        ):
            with pytest.raises(StorageInternalError, match="max length"):
                refused()


def test_f30_names_that_differ_only_in_case_are_two(url: str) -> None:
    small, large = study_of(url, "s", **CALM), study_of(url, "S", **CALM)
    trial = ask_quietly(small)[0]
    for name in ("x", "X"):
        trial.suggest_float(name, 0, 1)
        trial.set_user_attr(name, name)
    assert set(small.trials[0].params) == {"x", "X"}
    assert small.trials[0].user_attrs == {"x": "x", "X": "X"}
    assert large.trials == []


def test_f35_the_password_stays_secret(
    postgres: servers.Server, mariadb: servers.Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = re.compile(re.escape(servers.PASSWORD) + "|s3cret|pa:ss|pa%3Ass")
    for server in (postgres, mariadb):
        study = study_of(server.database(), **CALM)
        study.optimize(objective(0), n_trials=1)
        with pytest.raises(TypeError, match="not pickled") as refused:
            open_storage_of(study).__getstate__()
        wrong = server.admin.replace("tester:", "tester:s3cretx")
        with pytest.raises(StorageError, match=re.escape("***")) as error:
            open_storage(wrong)
        assert not secrets.search(str(error.value) + str(refused.value))
        assert not secrets.search("".join(traceback.format_exception(error.value)))
    assert not secrets.search(caplog.text)
