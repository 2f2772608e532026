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


class StorageError(ValueError):
    """A storage that cannot be opened, said in one sentence without the password."""


def redact(url: str) -> str:
    """Return the URL with `***` in place of its password."""
    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
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


def failure(url: str, password: object) -> Callable[[str], NoReturn]:
    """Return a function that raises why a storage cannot be opened, the password masked."""

    def fail(why: str) -> NoReturn:
        for secret in {str(password or ""), urllib.parse.quote(str(password or ""))} - {""}:
            why = why.replace(secret, "***")
        raise StorageError(f"Cannot open {redact(url)}: {why.rstrip('.')}.") from None

    return fail
