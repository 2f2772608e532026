"""open_storage(url): an Optuna storage tuned for many workers on machines that die.

Knows URLs and what each kind of storage needs. Does not know samplers, objectives or networks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
import tenacity
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from sqlalchemy import exc

from optuna_de.storage import rdb
from optuna_de.storage.grpc_proxy import open_proxy
from optuna_de.storage.journal import open_journal
from optuna_de.storage.lock import is_lock
from optuna_de.storage.stale_trials import MAX_RETRY, Requeue, quietly_experimental
from optuna_de.storage.url import StorageError, failure, folder_of, parse, redact

HEARTBEAT_INTERVAL = 30
"""Seconds between two heartbeats of a running trial."""
CONNECT_TIMEOUT = 10
"""Seconds within which a server has to answer."""
RESTART = 30.0
"""Seconds for which a server that is down, as in a restart, is waited for when opening."""
_KINDS = "sqlite:///file.db, postgresql://, mysql://, mariadb://, journal:///file.log, grpc://"


def open_storage(
    url: str,
    *,
    heartbeat_interval: int | None = HEARTBEAT_INTERVAL,
    grace_period: int | None = None,
    max_retry: int = MAX_RETRY,
    pool_size: int = 1,
) -> BaseStorage:
    """Open a storage that many workers can share.

    Args:
        url: `sqlite:///file.db`, `postgresql://user:password@host/db`, `mysql://...` or
            `mariadb://...`, `journal:///file.log`, `grpc://host:port`. Memory is refused: no
            second worker could see it.
        heartbeat_interval: seconds between heartbeats (databases only), None for none.
        grace_period: seconds of silence after which a trial is dead; four heartbeats by default.
        max_retry: how often a dead trial is queued again, at least 0.
        pool_size: connections kept open per process; more are opened and closed at need. A
            gRPC proxy server wants about one per thread.

    Raises:
        StorageError: at once for a bad URL, a missing folder or driver, an unknown host, a wrong
            password; after `RESTART` seconds for a server that is down.
    """
    kind = url.split("://")[0] if "://" in url else ""
    if kind == "grpc":
        return open_proxy(url, RESTART)
    if kind == "journal":
        return open_journal(url)
    if kind != "sqlite" and not kind.startswith(("sqlite+", "postgres", "mysql", "mariadb")):
        raise StorageError(f"The storage URL {redact(url)!r} is none of {_KINDS}.")
    if heartbeat_interval is not None:
        grace_period = grace_period or 4 * heartbeat_interval
    return _open_database(
        url,
        heartbeat_interval=heartbeat_interval,
        grace_period=grace_period,
        heartbeat_stale_trial_callback=Requeue(max_retry),
        engine_kwargs=_engine(url, pool_size),
    )


def _engine(url: str, pool_size: int) -> dict[str, Any]:
    """Return SQLAlchemy's engine settings for one kind of database."""
    if url.startswith("sqlite"):
        # Busy timeout in seconds: a writer that holds the lock longer is repeated by _rdb.
        setup = [(rdb.configure_sqlite, "connect")]
        return {"connect_args": {"timeout": 60}, "pool_events": setup}
    common = {"pool_pre_ping": True, "pool_recycle": 1800, "pool_size": pool_size}
    args: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT}
    if url.startswith("postgres"):
        args |= {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
        return {**common, "max_overflow": 32, "connect_args": args}
    # READ COMMITTED takes fewer gap locks; Optuna locks the rows it needs by FOR UPDATE.
    level = {"isolation_level": "READ COMMITTED"}
    return {**common, **level, "max_overflow": 32, "connect_args": args}


def _open_database(url: str, **kwargs: Any) -> BaseStorage:
    parsed = parse(url)
    _require_folder(url, parsed)
    # Optuna fills the URL as a format string.
    text = parsed.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    fail = failure(url)
    with quietly_experimental():
        try:
            return _awaited(lambda: _first_use(lambda: rdb.ResilientRDBStorage(text, **kwargs)))
        except ImportError:
            fail(f"the driver of {parsed.drivername} is not installed")
        except (RuntimeError, AssertionError, StorageInternalError, exc.SQLAlchemyError) as error:
            fail(rdb.reason(error))


def _require_folder(url: str, parsed: sqlalchemy.URL) -> None:
    if not parsed.drivername.startswith("sqlite"):
        return
    database = parsed.database or ":memory:"
    if database == ":memory:" or "mode=memory" in url:
        raise StorageError(f"The storage URL {url!r} is memory, which no other worker can see.")
    if not database.startswith("file:"):
        folder_of(Path(database))


def _lost_race(error: BaseException) -> bool:
    """Tell whether another worker made the tables at the same moment."""
    exists = isinstance(error, exc.OperationalError) and "exists" in str(error.orig)
    return exists or isinstance(error, (exc.ProgrammingError, exc.IntegrityError, AssertionError))


def _first_use(build: Callable[[], BaseStorage]) -> BaseStorage:
    """Build, again where workers that start together race for the tables."""
    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_lost_race),
        wait=tenacity.wait_random(0.1, 1.0),
        stop=tenacity.stop_after_attempt(8),
        reraise=True,
    )
    return again(build)


_DOWN = (
    *("refused", "starting up", "shutting down", "recovery mode", "not yet accepting"),
    *("closed the connection", "terminating connection", "terminated", "reset by peer"),
    *("lost connection", "gone away", "shutdown in progress", "broken pipe"),
)
"""How PostgreSQL, MySQL, MariaDB and their drivers say that a server is down or about to be."""


def _is_down(error: BaseException) -> bool:
    return rdb.is_transient(error) and any(w in rdb.reason(error).lower() for w in _DOWN)


def _awaited(build: Callable[[], BaseStorage]) -> BaseStorage:
    """Build, again while the server is down."""
    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_down),
        wait=tenacity.wait_random(0.2, 1.0),
        stop=tenacity.stop_after_delay(RESTART),
        before_sleep=rdb.announce,
        reraise=True,
    )
    return again(build)


def open_study(study_name: str | None, storage: str) -> optuna.Study:
    """Return the study of that name, or the only one, of a storage that exists.

    Raises:
        ValueError: Where there is none, or a choice is needed.
    """
    opened = existing(storage)
    names = sorted(n for n in optuna.get_all_study_names(opened) if not is_lock(n))
    where = redact(storage)
    if not names:
        raise ValueError(f"{where} has no study yet.")
    if study_name is None and len(names) > 1:
        raise ValueError(f"{where} has {len(names)} studies, {names}; choose a --study-name.")
    chosen = names[0] if study_name is None else study_name
    if chosen not in names:
        raise ValueError(f"{where} has no study {chosen!r}; it has {names}.")
    return optuna.load_study(study_name=chosen, storage=opened)


def existing(storage: str) -> optuna.storages.BaseStorage:
    """Open a storage; a file that is not there is not made, for there is nothing to show."""
    kind, _, place = storage.partition("://")
    if kind == "journal" or kind.partition("+")[0] == "sqlite":
        name = place if kind == "journal" else place.removeprefix("/").partition("?")[0]
        if name not in ("", ":memory:") and not Path(name.removeprefix("file:")).exists():
            raise ValueError(f"There is no file {name!r}; a search makes it, or name --storage.")
    return open_storage(storage)
