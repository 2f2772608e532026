"""open_storage(url): an Optuna storage tuned for many workers on machines that die.

Knows URLs and what each kind of storage needs. Does not know samplers, objectives or networks.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy
import tenacity
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy import exc

from optuna_de import _rdb
from optuna_de._reaper import MAX_RETRY, Requeue, quietly_experimental, requeue_stale

__all__ = ["StorageError", "open_storage", "redact", "requeue_stale"]

HEARTBEAT_INTERVAL = 30
"""Seconds between two heartbeats of a running trial."""
LOCK_GRACE = 15
"""Seconds after which the journal's lock is taken from a holder that died."""
CONNECT_TIMEOUT = 10
"""Seconds within which a server has to answer."""
_DRIVERS = {
    **dict.fromkeys(("postgresql", "postgres"), "postgresql+psycopg"),
    **dict.fromkeys(("mysql", "mariadb", "mariadb+pymysql"), "mysql+pymysql"),
}
_KINDS = "sqlite:///file.db, postgresql://, mysql://, mariadb://, journal:///file.log, grpc://"


class StorageError(ValueError):
    """A storage that cannot be opened, said in one sentence without the password."""


def redact(url: str) -> str:
    """Return the URL with `***` in place of its password."""
    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
    except (exc.ArgumentError, ValueError):
        head, at, tail = url.rpartition("@")
        return f"{head.split('://')[0]}://***@{tail}" if at else url


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
        StorageError: bad URL, missing folder or driver, unreachable server, wrong password.
    """
    kind = url.split("://")[0] if "://" in url else ""
    if kind == "grpc":
        return _open_grpc(url)
    if kind == "journal":
        return _open_journal(url)
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


def _parse(url: str) -> sqlalchemy.URL:
    try:
        parsed = sqlalchemy.make_url(url)
    except (exc.ArgumentError, ValueError):
        raise StorageError(f"The storage URL {redact(url)!r} cannot be read.") from None
    return parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))


def _engine(url: str, pool_size: int) -> dict[str, Any]:
    """Return SQLAlchemy's engine settings for one kind of database."""
    if url.startswith("sqlite"):
        # Busy timeout in seconds: a writer that holds the lock longer is repeated by _rdb.
        setup = [(_rdb.configure_sqlite, "connect")]
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
    parsed = _parse(url)
    _require_folder(url, parsed)
    # Optuna fills the URL as a format string.
    text = parsed.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    fail = _failure(url, parsed.password)
    with quietly_experimental():
        try:
            return _first_use(lambda: _rdb.ResilientRDBStorage(text, **kwargs))
        except ImportError:
            fail(f"the driver of {parsed.drivername} is not installed")
        except (RuntimeError, AssertionError, StorageInternalError, exc.SQLAlchemyError) as error:
            fail(_rdb.reason(error))


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


def _require_folder(url: str, parsed: sqlalchemy.URL) -> None:
    if not parsed.drivername.startswith("sqlite"):
        return
    database = parsed.database or ":memory:"
    if database == ":memory:" or "mode=memory" in url:
        raise StorageError(f"The storage URL {url!r} is memory, which no other worker can see.")
    if not database.startswith("file:"):
        _folder_of(Path(database))


def _folder_of(file: Path) -> Path:
    if not file.parent.is_dir():
        raise StorageError(f"The folder {str(file.parent)!r} of the storage does not exist.")
    if file.is_dir():
        raise StorageError(f"The storage {str(file)!r} is a folder, not a file.")
    return file.absolute()


def _failure(url: str, password: object) -> Callable[[str], NoReturn]:
    def fail(why: str) -> NoReturn:
        for secret in {str(password or ""), urllib.parse.quote(str(password or ""))} - {""}:
            why = why.replace(secret, "***")
        raise StorageError(f"Cannot open {redact(url)}: {why.rstrip('.')}.") from None

    return fail


def _open_grpc(url: str) -> BaseStorage:
    parts = urllib.parse.urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.path not in ("", "/") or parts.username:
        raise StorageError(f"The storage URL {redact(url)!r} is not grpc://host:port.")
    try:
        with quietly_experimental():
            proxy = GrpcStorageProxy(host=host, port=port)
        proxy.wait_server_ready(timeout=CONNECT_TIMEOUT)
    except ImportError:
        raise StorageError("A grpc:// storage needs the packages grpcio and protobuf.") from None
    except ConnectionError:
        proxy.close()
        raise StorageError(f"No gRPC proxy answers at {host}:{port}.") from None
    return proxy


def _open_journal(url: str) -> BaseStorage:
    # An absolute path: the lock looks at files relative to the link, not to this process.
    file = _folder_of(Path(url.removeprefix("journal://")))
    lock = JournalFileOpenLock(str(file), grace_period=LOCK_GRACE)
    try:
        if file.exists():
            _cut_torn_tail(file, lock)
        with quietly_experimental():
            return JournalStorage(JournalFileBackend(str(file), lock_obj=lock))
    except (ValueError, KeyError, OSError) as error:
        raise StorageError(f"The journal {str(file)!r} cannot be read: {error}.") from None


def _cut_torn_tail(file: Path, lock: JournalFileOpenLock) -> None:
    """Cut what a dead writer left after the last whole line: it blocks all further writes."""
    lock.acquire()
    try:
        with file.open("r+b") as stream:
            end = stream.seek(0, 2)
            while end > 0 and stream.seek(end - 1) >= 0 and stream.read(1) != b"\n":
                end -= 1
            stream.truncate(end)
    finally:
        lock.release()
