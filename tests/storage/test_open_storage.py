"""Laws of `open_storage` and the worker's total; SQLite and journals, no server."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from optuna_de.storage import StorageError, backoff, requeue_stale, schemes
from optuna_de.storage.lock import locked
from optuna_de.storage.open_storage import open_storage
from optuna_de.storage.stale_trials import Watch
from optuna_de.worker.optimize import TooManyFailuresError, optimize
from tests.faults import storage_worker
from tests.faults.storage_worker import spawn, study_of

pytest_plugins = ["tests.databases"]


@pytest.fixture(params=["sqlite", "journal"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.param}:///{tmp_path}/study"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:///:memory:", "is in memory"),
        ("sqlite://", "is in memory"),
        ("sqlite:///no/such/folder/a.db", "folder of the storage 'sqlite:///no"),
        ("journal:///no/such/folder/a.log", "folder of the storage 'journal:///no"),
        ("redis://h", "none of"),
        ("study.db", "none of"),
        ("postgresql://u:hidden@h:port/d", "cannot be read"),
        ("postgresql://u:hidden@127.0.0.1:1/d", "Cannot open postgresql://u:\\*\\*\\*@127"),
        ("mysql://u:hidden@127.0.0.1:1/d", "Cannot open mysql://u:\\*\\*\\*@127"),
        ("mysql+nodriver://u:hidden@h/d", "Cannot open mysql"),
        ("grpc://h", "not grpc://host:port"),
        ("grpc://127.0.0.1:1", "No gRPC proxy answers at 127.0.0.1:1"),
        ("grpc://no-such-host.invalid:1", "host 'no-such-host.invalid' of the gRPC proxy is"),
        ("grpc://h:99999", "not grpc://host:port"),
    ],
)
def test_a_bad_url_is_refused_in_one_sentence(
    url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RESTART", 0.0)
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg")
    if url.startswith("mysql:"):
        pytest.importorskip("pymysql")
    with pytest.raises(StorageError, match=words) as error:
        open_storage(url)
    assert "hidden" not in str(error.value)
    assert "\n" not in str(error.value)


def test_sqlite_is_tuned_and_heartbeats_are_on(tmp_path: Path) -> None:
    study = study_of(f"sqlite:///{tmp_path}/a {{b}}.db")
    assert (tmp_path / "a {b}.db").exists()
    storage = study._storage._backend  # type: ignore[attr-defined]
    assert storage.get_heartbeat_interval() == storage_worker.INTERVAL
    with storage.engine.connect() as connection:
        pragma = [connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in _PRAGMAS]
    assert pragma == ["wal", 1, 60000]


_PRAGMAS = ("journal_mode", "synchronous", "busy_timeout")


def test_a_relative_path_is_relative_to_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study_of("sqlite:///a.db")
    assert (tmp_path / "a.db").exists()


def test_a_storage_without_a_password_is_pickled_whole(tmp_path: Path) -> None:
    study = study_of(f"sqlite:///{tmp_path}/a.db")
    copy = pickle.loads(pickle.dumps(study._storage._backend))  # type: ignore[attr-defined]
    storage_worker._opened.append(copy)
    again = optuna.load_study(study_name="s", storage=copy)
    again.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)
    assert len(study.trials) == 1


def test_the_total_holds_over_workers_and_runs(url: str) -> None:
    for total in (20, 25):
        workers = [spawn(storage_worker.work, url, total, 0.0, beat=30) for _ in range(4)]
        for worker in workers:
            worker.join(storage_worker.PATIENCE)
        assert [w.exitcode for w in workers] == [0] * 4
        states = Counter(t.state for t in study_of(url).trials)
        assert states[TrialState.COMPLETE] == total
        assert set(states) <= {TrialState.COMPLETE, TrialState.WAITING}


def test_two_studies_in_one_storage_have_their_own_totals(url: str) -> None:
    for name in ("one", "two"):
        study = study_of(url, name)
        assert optimize(study, lambda t: t.suggest_float("x", 0, 1), total=3).finished == 3
        assert len(study.trials) == 3


def test_failures_do_not_count_but_a_row_of_them_stops(url: str) -> None:
    def every_other(trial: optuna.Trial) -> float:
        if trial.number % 2:
            raise RuntimeError("no")
        return 0.0

    def always(trial: optuna.Trial) -> float:
        raise RuntimeError("no")

    outcome = optimize(study_of(url, "half"), every_other, total=4, max_failures=2)
    assert (outcome.finished, outcome.failed) == (4, 3)
    with pytest.raises(TooManyFailuresError, match=r"last 3 trials failed"):
        optimize(study_of(url, "none"), always, total=4, max_failures=3)


def test_a_pruned_trial_counts_and_a_deadline_ends(url: str) -> None:
    def prune(trial: optuna.Trial) -> float:
        time.sleep(0.05)
        raise optuna.TrialPruned

    assert optimize(study_of(url, "p"), prune, total=2).finished == 2
    started = time.monotonic()
    optimize(study_of(url, "t"), prune, timeout=0.3)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "options", [{"total": 0}, {"timeout": 0.0}, {"max_failures": 0}, {"total": -1}]
)
def test_limits_out_of_range_are_refused(url: str, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        optimize(study_of(url), lambda t: 0.0, **options)  # type: ignore[arg-type]


def test_the_reaper_by_age_spares_the_young(tmp_path: Path) -> None:
    study = study_of(f"journal:///{tmp_path}/a.log")
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    trial.set_user_attr("kept", 1)
    assert requeue_stale(study, older_than=60) == []
    time.sleep(0.05)
    assert requeue_stale(study, older_than=0.01) == [0]
    failed, clone = study.trials
    assert (failed.state, clone.state) == (TrialState.FAIL, TrialState.WAITING)
    assert (clone.params, clone.user_attrs) == (failed.params, {"kept": 1})


def test_a_watch_starts_anew_when_the_value_changes() -> None:
    watch = Watch()
    assert watch.overdue({1: "a", 2: "a"}, 0.05) == []
    time.sleep(0.06)
    assert watch.overdue({1: "a", 2: "b"}, 0.05) == [1]
    assert watch.overdue({1: "b"}, 0.05) == []


def test_a_trial_of_45_parameters_is_cheap(tmp_path: Path) -> None:
    study = study_of(f"sqlite:///{tmp_path}/a.db")

    def big(trial: optuna.Trial) -> float:
        for i in range(45):
            trial.suggest_int(f"p{i}", 0, 9)
        for i in range(3):
            trial.set_user_attr(f"u{i}", i)
        return 0.0

    done: Counter[str] = Counter()
    study.optimize(big, n_trials=1)
    engine = cast(Any, study._storage)._backend.engine
    sqlalchemy.event.listen(engine, "commit", lambda connection: done.update(["commits"]))
    sqlalchemy.event.listen(
        engine, "before_cursor_execute", lambda *about: done.update(["statements"])
    )
    study.optimize(big, n_trials=1)
    assert done["commits"] <= 45 + 3 + 12  # one a parameter and attribute, some a trial
    assert done["statements"] <= 5 * (45 + 3) + 20


def test_a_new_scheme_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def opens(url: str, options: schemes.Options) -> optuna.storages.BaseStorage:
        if options.pool_size > 1:
            raise ImportError
        return optuna.storages.InMemoryStorage()

    row = schemes.Scheme(("cloud",), "cloud://host", "cloudlib", opens)
    monkeypatch.setattr(schemes, "SCHEMES", (*schemes.SCHEMES, row))
    assert isinstance(open_storage("cloud://h"), optuna.storages.InMemoryStorage)
    with pytest.raises(StorageError, match=r"A cloud:// storage needs cloudlib, which is not"):
        open_storage("cloud://h", pool_size=2)
    with pytest.raises(StorageError, match=r"is none of sqlite:///file.db, .*, cloud://host\."):
        open_storage("redis://h")


def test_optuna_announces_studies_but_no_locks(url: str, caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    storage = open_storage(url)
    optuna.create_study(storage=storage, study_name="ours")
    with locked(storage, "ours"):
        pass
    optuna.logging.disable_propagation()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    assert {r.getMessage().rsplit(": ")[-1] for r in caplog.records} == {"ours"}
