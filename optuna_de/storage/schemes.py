"""Storage schemes: one row for each kind of storage that a URL can name.

To add a kind of storage, write its opener and add a row to ``SCHEMES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from optuna.storages import BaseStorage

from optuna_de.storage.grpc_proxy import open_proxy
from optuna_de.storage.journal import file_of as journal_file
from optuna_de.storage.journal import open_journal
from optuna_de.storage.stale_trials import Requeue
from optuna_de.storage.url import StorageError, redact, scheme_of


@dataclass(frozen=True)
class Options:
    """Arguments of `open_storage`, for the openers."""

    heartbeat_interval: int | None
    grace_period: int | None
    max_retry: int
    pool_size: int
    repair: bool


@dataclass(frozen=True)
class Scheme:
    """One kind of storage.

    Args:
        names: What may stand before ``://``, without a ``+driver``.
        example: A URL.
        needs: The packages that have to be installed, in words; empty for none.
        open: Opens a URL.
        file: Returns the file of a URL, ``None`` where it has none.
    """

    names: tuple[str, ...]
    example: str
    needs: str
    open: Callable[[str, Options], BaseStorage]
    file: Callable[[str], Path | None] = lambda url: None


def _open_database(url: str, options: Options, *, driver: str) -> BaseStorage:
    from optuna_de.storage import database  # SQLAlchemy, for databases only

    interval, grace = options.heartbeat_interval, options.grace_period
    return database.open_database(
        url,
        driver,
        heartbeat_interval=interval,
        grace_period=grace if interval is None else grace or 4 * interval,
        heartbeat_stale_trial_callback=Requeue(options.max_retry),
        engine_kwargs=database.engine_settings(driver, options.pool_size),
    )


def _sqlite_file(url: str) -> Path | None:
    from optuna_de.storage import database  # SQLAlchemy, for databases only

    return database.sqlite_file(url)


SCHEMES: tuple[Scheme, ...] = (
    Scheme(
        names=("sqlite",),
        example="sqlite:///file.db",
        needs="",
        open=partial(_open_database, driver="sqlite"),
        file=_sqlite_file,
    ),
    Scheme(
        names=("postgresql", "postgres"),
        example="postgresql://user:password@host/database",
        needs="psycopg",
        open=partial(_open_database, driver="postgresql+psycopg"),
    ),
    Scheme(
        names=("mysql", "mariadb"),
        example="mysql://user:password@host/database",
        needs="PyMySQL",
        open=partial(_open_database, driver="mysql+pymysql"),
    ),
    Scheme(
        names=("journal",),
        example="journal:///file.log",
        needs="",
        open=lambda url, options: open_journal(url, repair=options.repair),
        file=journal_file,
    ),
    Scheme(
        names=("grpc",),
        example="grpc://host:port",
        needs="grpcio and protobuf",
        open=lambda url, _options: open_proxy(url),
    ),
)


def get_scheme(url: str) -> Scheme:
    """Return the row of a URL.

    Raises:
        StorageError: If no scheme has its name.
    """
    name = scheme_of(url).partition("+")[0]
    for scheme in SCHEMES:
        if name in scheme.names:
            return scheme
    examples = ", ".join(scheme.example for scheme in SCHEMES)
    raise StorageError(f"The storage URL {redact(url)!r} is none of {examples}.")
