"""Faults of size on SQLite, PostgreSQL and MariaDB, real servers.

Rows F11, F28, F29, F30 and F34 of the fault list; each test names its row. A study grows by SQL
that doubles it, for a trial added by Optuna costs some ten transactions.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from optuna_de import DESampler, _compat
from optuna_de.storage import requeue_stale
from optuna_de.storage.stale_trials import parent
from optuna_de.worker.optimize import optimize
from tests import servers
from tests.databases import SQLITE_FIRST
from tests.drills import DRILL, POSIX
from tests.faults import storage_worker
from tests.faults.storage_worker import (
    CALM,
    PATIENCE,
    age_heartbeats,
    ask_quietly,
    open_storage_of,
    study_of,
    together,
)

pytest_plugins = ["tests.databases"]
pytestmark = [
    POSIX,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
BOX = FloatDistribution(0, 1)


COPIED = {
    "trials": ("number", "study_id", "state", "datetime_start", "datetime_complete"),
    "trial_params": ("trial_id", "param_name", "param_value", "distribution_json"),
    "trial_values": ("trial_id", "objective", "value", "value_type"),
    "trial_heartbeats": ("trial_id", "heartbeat"),
}


def double(study: optuna.Study, times: int) -> None:
    """Copy all trials of a database's only study, with new numbers, so many times over."""
    with open_storage_of(study).engine.begin() as connection:
        for _ in range(times):
            count = connection.exec_driver_sql("SELECT count(*) FROM trials").scalar() or 0
            for table, columns in COPIED.items():
                names = ("trial_id", *columns) if table == "trials" else columns
                moved = (f"{n} + {count}" if n in ("trial_id", "number") else n for n in names)
                connection.exec_driver_sql(
                    f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(moved)} "
                    f"FROM {table} WHERE trial_id <= {count}"
                )
        if connection.dialect.name == "postgresql":
            last = "SELECT setval(pg_get_serial_sequence('trials', 'trial_id'), max(trial_id))"
            connection.exec_driver_sql(f"{last} FROM trials")


@contextmanager
def counting(study: optuna.Study) -> Iterator[Counter[str]]:
    """Count the statements and commits that reach the database, by their first word."""
    seen, engine = Counter[str](), open_storage_of(study).engine

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen[statement.split(maxsplit=1)[0]] += 1

    def commit(_c: Any) -> None:
        seen["COMMIT"] += 1

    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    sqlalchemy.event.listen(engine, "commit", commit)
    try:
        yield seen
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", note)
        sqlalchemy.event.remove(engine, "commit", commit)


def one(study: optuna.Study) -> None:
    (trial,) = ask_quietly(study)
    study.tell(trial, trial.suggest_float("x", 0, 1))


def cost(study: optuna.Study) -> Counter[str]:
    """Return the statements of a trial, the study's history being known."""
    one(study)
    with counting(study) as seen:
        one(study)
    return seen


@pytest.mark.parametrize("url", SQLITE_FIRST, indirect=True)
def test_f28_a_trial_costs_equally_many_statements_at_any_size(url: str) -> None:
    study = study_of(url, **CALM)
    study.sampler = DESampler(seed=0)
    study.add_trials(
        create_trial(params={"x": i / 25}, distributions={"x": BOX}, value=i / 25)
        for i in range(25)
    )
    small = cost(study)
    double(study, 6)
    large = study_of(url, **CALM)
    large.sampler = DESampler(seed=0)
    assert len(large.trials) == 64 * 27
    assert cost(large) == small
    # Besides the trial's row, number, parameter, plan, values and state it is read, once by ask.
    assert small["COMMIT"] <= 20


@pytest.mark.parametrize("url", SQLITE_FIRST, indirect=True)
def test_f29_zombies_are_reaped_and_cost_nothing_after(url: str) -> None:
    study = study_of(url, **CALM)
    study.sampler = DESampler(seed=0)
    clean = cost(study)
    double_from = len(study.trials)
    ask_quietly(study, 2)
    age_heartbeats(study)
    double(study, 4)
    study = study_of(url, **CALM)
    study.sampler = DESampler(seed=0)
    zombies = [t.number for t in study.trials if t.state == TrialState.RUNNING]
    assert len(zombies) == 32
    assert double_from == 2
    assert set(zombies) <= set(requeue_stale(study, older_than=60))
    again = [parent(t) for t in study.get_trials(states=(TrialState.WAITING,))]
    assert Counter(again) == Counter(zombies)
    total = sum(t.state == TrialState.COMPLETE for t in study.trials) + 32
    assert optimize(study, lambda t: t.suggest_float("x", 0, 1), total=total).finished == 32
    assert {t.state for t in study.trials} == {TrialState.COMPLETE, TrialState.FAIL}
    assert cost(study) == clean


@pytest.mark.parametrize("url", SQLITE_FIRST, indirect=True)
def test_f30_many_ids_and_many_parameters_fit(url: str) -> None:
    study = study_of(url, **CALM)
    names = [f"layers.{i}" for i in range(2000)]
    params = dict.fromkeys(names, 0.5)
    space: dict[str, BaseDistribution] = dict.fromkeys(names, BOX)
    study.add_trial(create_trial(params=params, distributions=space, value=1.0))
    double(study, 1)
    assert [len(t.params) for t in study_of(url, **CALM).trials] == [2000, 2000]
    storage = open_storage_of(study)
    trials = storage._get_trials(1, None, set(range(6000)), 6000)
    assert [len(t.params) for t in trials] == [2000, 2000]


@pytest.mark.parametrize("url", SQLITE_FIRST, indirect=True)
def test_f30_a_population_of_a_thousand_breeds(url: str) -> None:
    study = study_of(url, **CALM)
    study.sampler = DESampler(seed=0, population_size=1000, adaptive=False)
    study.add_trials(
        create_trial(params={"x": i / 16}, distributions={"x": BOX}, value=i / 16)
        for i in range(16)
    )
    double(study, 6)
    study = study_of(url, **CALM)
    study.sampler = DESampler(seed=0, population_size=1000, adaptive=False)
    one(study)
    last = study.trials[-1]
    assert last.state == TrialState.COMPLETE
    assert len(last.system_attrs["optuna_de:v1:plan"]["parents"]) > 0


SKEWED = """
import sys, time
from tests.faults.storage_worker import objective
from tests.faults.storage_worker import study_of
from optuna_de.worker.optimize import optimize
study = study_of(sys.argv[1], heartbeat_interval=1, grace_period=30)
optimize(study, objective(2.0), total=1)
"""


@pytest.mark.skipif(shutil.which("faketime") is None, reason="Debian's faketime is not installed")
@pytest.mark.parametrize(
    ("kind", "skew"),
    [
        ("postgres", "-1h"),
        pytest.param("mariadb", "+1h", marks=DRILL),
        pytest.param("postgres", "+1h", marks=DRILL),
        pytest.param("mariadb", "-1h", marks=DRILL),
    ],
)
def test_f34_a_worker_whose_clock_is_wrong_is_not_taken_for_dead(
    request: pytest.FixtureRequest, kind: str, skew: str
) -> None:
    """A server compares heartbeats by its own clock; SQLite's one machine has one clock."""
    server_url = str(request.getfixturevalue(kind).database())
    study = study_of(server_url, heartbeat_interval=1, grace_period=30)
    command = ["faketime", "-f", skew, sys.executable, "-W", "ignore", "-c", SKEWED, server_url]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root) as worker:
        servers.wait_for(lambda: any(t.params for t in study.trials), PATIENCE, "no trial")
        while worker.poll() is None:
            optuna.storages.fail_stale_trials(study)
            threading.Event().wait(0.5)
    assert worker.returncode == 0
    (trial,) = study.trials
    assert trial.state == TrialState.COMPLETE
    assert trial.datetime_start is not None
    assert abs(datetime.now() - trial.datetime_start) > timedelta(minutes=30)


def test_f11_the_victim_of_a_deadlock_tries_again(
    mariadb: servers.Server, caplog: pytest.LogCaptureFixture
) -> None:
    study = study_of(mariadb.database(), **CALM)
    mine, other = (_compat.trial_id(_compat.frozen(t)) for t in ask_quietly(study, 2))
    engine = open_storage_of(study).engine
    rival = sqlalchemy.create_engine(engine.url).connect()
    rival.exec_driver_sql(f"SELECT * FROM trials WHERE trial_id={other} FOR UPDATE")
    for key in range(50):  # InnoDB sacrifices the lighter of two transactions
        row = f"({other}, 'k{key}', '0')"
        rival.exec_driver_sql(
            f"INSERT INTO trial_user_attributes (trial_id, `key`, value_json) VALUES {row}"
        )
    wanted = f"SELECT * FROM trials WHERE trial_id={mine} FOR UPDATE"
    thread = threading.Thread(target=rival.exec_driver_sql, args=(wanted,))

    def cross(_c: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO trial_values" in statement and not thread.ident:
            thread.start()
            threading.Event().wait(0.5)
            cursor.execute(f"SELECT * FROM trials WHERE trial_id={other} FOR UPDATE")
            cursor.fetchall()

    def release(*_: Any) -> None:
        thread.join()
        rival.rollback()

    sqlalchemy.event.listen(engine, "before_cursor_execute", cross)
    sqlalchemy.event.listen(engine, "rollback", release)
    study.tell(0, 1.0)
    rival.close()
    assert "Deadlock found" in caplog.text
    assert [t.state for t in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]


def test_f11_strict_snapshots_break_nothing(mariadb: servers.Server) -> None:
    admin = sqlalchemy.create_engine(mariadb.admin, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        known = "SHOW VARIABLES LIKE 'innodb_snapshot_isolation'"
        if connection.exec_driver_sql(known).first() is None:
            pytest.skip("this MariaDB has no innodb_snapshot_isolation")
        connection.exec_driver_sql("SET GLOBAL innodb_snapshot_isolation=ON")
    url = mariadb.database()
    study = study_of(url, **CALM)
    for i in range(100):
        study.enqueue_trial({"i": i})
    popped = sorted(i for some in together(url, storage_worker.pop, 4) for i in some)
    with admin.connect() as connection:
        connection.exec_driver_sql("SET GLOBAL innodb_snapshot_isolation=OFF")
    admin.dispose()
    assert popped == list(range(100))
