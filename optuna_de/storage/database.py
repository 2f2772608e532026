"""Opening a database: SQLite, PostgreSQL, MySQL or MariaDB, with the settings that each needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import sqlalchemy
import tenacity
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from sqlalchemy import exc

from optuna_de.storage import backoff, rdb
from optuna_de.storage.stale_trials import quietly_experimental
from optuna_de.storage.url import StorageError, check_file, failure, parse, redact

CONNECT_TIMEOUT = 10
"""Seconds within which a server has to answer."""
_MEMORY = ":memory:"


def _sqlite_engine(_pool_size: int) -> dict[str, Any]:
    """Return SQLAlchemy's engine settings for SQLite."""
    # Busy timeout in seconds: `rdb` repeats after a writer that holds the lock longer.
    setup = [(rdb.configure_sqlite, "connect")]
    return {"connect_args": {"timeout": 60}, "pool_events": setup}


def _postgresql_engine(pool_size: int) -> dict[str, Any]:
    """Return SQLAlchemy's engine settings for PostgreSQL."""
    alive = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    return _server_engine(pool_size, **alive)


def _mysql_engine(pool_size: int) -> dict[str, Any]:
    """Return SQLAlchemy's engine settings for MySQL and MariaDB."""
    # READ COMMITTED takes fewer gap locks; Optuna locks the rows it needs by FOR UPDATE.
    return {**_server_engine(pool_size), "isolation_level": "READ COMMITTED"}


def _server_engine(pool_size: int, **connect_args: Any) -> dict[str, Any]:
    return {
        **{"pool_pre_ping": True, "pool_recycle": 1800},
        **{"pool_size": pool_size, "max_overflow": 32},
        "connect_args": {"connect_timeout": CONNECT_TIMEOUT, **connect_args},
    }


_ENGINES = {"sqlite": _sqlite_engine, "postgresql": _postgresql_engine, "mysql": _mysql_engine}


def engine_settings(driver: str, pool_size: int) -> dict[str, Any]:
    """Return SQLAlchemy's engine settings of a database.

    Args:
        driver: SQLAlchemy's name of dialect and driver, such as ``postgresql+psycopg``.
        pool_size: Connections kept open; without effect on SQLite.
    """
    return _ENGINES[driver.partition("+")[0]](pool_size)


def open_database(url: str, driver: str, **kwargs: Any) -> BaseStorage:
    """Open a database by its driver, or by the one that the URL names.

    Args:
        url: The storage URL.
        driver: SQLAlchemy's name of dialect and driver, such as ``postgresql+psycopg``.
        kwargs: Arguments of Optuna's ``RDBStorage``.

    Raises:
        StorageError: If the URL, the driver or the server refuses; see `open_storage`.
    """
    parsed = parse(url)
    if "+" not in parsed.drivername:
        parsed = parsed.set(drivername=driver)
    file = sqlite_file(url)
    if file is not None:
        check_file(url, file)
    # Optuna fills the URL as a format string.
    text = parsed.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    fail = failure(sqlalchemy.make_url(url))
    with quietly_experimental():
        try:
            return _awaited(lambda: _first_use(lambda: rdb.ResilientRDBStorage(text, **kwargs)))
        except ImportError:
            fail(f"the driver of {parsed.drivername} is not installed")
        except (RuntimeError, AssertionError, StorageInternalError, exc.SQLAlchemyError) as error:
            fail(backoff.reason(error))
        except Exception as error:  # what a driver raises for options that it does not expect
            fail(f"the driver does not accept the options of the URL ({type(error).__name__})")


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL, ``file:`` URIs included; ``None`` for other databases.

    Raises:
        StorageError: If the database is in memory.
    """
    parsed = parse(url)
    if not parsed.drivername.startswith("sqlite"):
        return None
    path = _path_of(parsed.database or _MEMORY)
    if path == _MEMORY or parsed.query.get("mode") == "memory":
        raise StorageError(
            f"The storage URL {redact(url)!r} is in memory, so no other worker could see it; "
            "use sqlite:///file.db."
        )
    return Path(path)


def _path_of(database: str) -> str:
    """Return the path of a database as SQLite reads it: a path, or a ``file:`` URI."""
    return unquote(urlsplit(database).path) if database.startswith("file:") else database


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
    words = backoff.reason(error).lower()
    return rdb.is_transient(error) and any(word in words for word in _DOWN)


def _awaited(build: Callable[[], BaseStorage]) -> BaseStorage:
    """Build, again while the server is down."""
    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_down),
        wait=tenacity.wait_random(0.2, 1.0),
        stop=tenacity.stop_after_delay(backoff.RESTART),
        before_sleep=backoff.announce,
        reraise=True,
    )
    return again(build)
