"""Storage URLs: read, checked, and shown without their password. Opens nothing."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import sqlalchemy
from sqlalchemy import exc

_DRIVERS = {
    **dict.fromkeys(("postgresql", "postgres"), "postgresql+psycopg"),
    **dict.fromkeys(("mysql", "mariadb", "mariadb+pymysql"), "mysql+pymysql"),
}
_SECRETS = frozenset({"password", "passwd", "sslpassword"})
"""Names under which drivers take a password in the query."""


class StorageError(ValueError):
    """A storage that cannot be opened, said in one sentence without the password."""


def redact(url: str) -> str:
    """Return the URL with `***` in place of its password, wherever it stands."""
    try:
        parsed = sqlalchemy.make_url(url)
        hidden = dict.fromkeys(_SECRETS & parsed.query.keys(), "***")
        shown = parsed.update_query_dict(hidden).render_as_string(hide_password=True)
        return shown.replace("=%2A%2A%2A", "=***")
    except (exc.ArgumentError, ValueError):
        head, at, tail = url.rpartition("@")
        return f"{head.split('://')[0]}://***@{tail}" if at else url


def parse(url: str) -> sqlalchemy.URL:
    """Return a database's URL with the driver that is used.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        parsed = sqlalchemy.make_url(url)
    except (exc.ArgumentError, ValueError):
        raise StorageError(f"The storage URL {redact(url)!r} cannot be read.") from None
    return parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))


def folder_of(file: Path) -> Path:
    """Return the absolute path of a storage's file.

    Raises:
        StorageError: its folder does not exist, or it is a folder itself.
    """
    if not file.parent.is_dir():
        raise StorageError(f"The folder {str(file.parent)!r} of the storage does not exist.")
    if file.is_dir():
        raise StorageError(f"The storage {str(file)!r} is a folder, not a file.")
    return file.absolute()


def secrets_of(url: sqlalchemy.URL) -> set[str]:
    """Return the passwords that a URL holds."""
    told = [url.password, *(url.query.get(name) for name in _SECRETS)]
    return {str(secret) for secret in told if secret}


def failure(url: str) -> Callable[[str], NoReturn]:
    """Return a function that raises why a storage cannot be opened, passwords masked."""

    def fail(why: str) -> NoReturn:
        for secret in secrets_of(sqlalchemy.make_url(url)):
            for spelt in (secret, urllib.parse.quote(secret)):
                why = why.replace(spelt, "***")
        raise StorageError(f"Cannot open {redact(url)}: {why.rstrip('.')}.") from None

    return fail
