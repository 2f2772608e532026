"""Storage URLs: parsed, checked, and shown without secrets. Opens nothing."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import sqlalchemy  # slow to import: loaded where a URL is read

_FORM = "scheme://user:password@host/database, with %40 for an @ in the password"
_SECRET_NAME = re.compile("pass|pwd|dsn|secret|token", re.IGNORECASE)


class StorageError(ValueError):
    """A storage that cannot be opened, said in one sentence without its secrets."""


def scheme_of(url: str) -> str:
    """Return the scheme of a storage URL, empty without ``://``."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+_]*)://", url)
    return match[1] if match else ""


def redact(url: str) -> str:
    """Return the URL without its password and query, to be shown.

    Of a URL that is not well-formed, only the scheme and the host behind the last ``@`` are shown,
    for its password may stand anywhere.
    """
    try:
        parsed = _read(url)
    except StorageError:
        return _stump(url)
    login = ""
    if parsed.username is not None or parsed.password is not None:
        plain = re.fullmatch(r"[\w.+-]*", parsed.username or "")
        login = (plain[0] if plain else "***") + (":***@" if parsed.password is not None else "@")
    port = f":{parsed.port}" if parsed.port is not None else ""
    database = f"/{parsed.database}" if parsed.database is not None else ""
    host = f"[{parsed.host}]" if ":" in (parsed.host or "") else parsed.host or ""
    return f"{parsed.drivername}://{login}{host}{port}{database}"


def _stump(url: str) -> str:
    """Return the scheme and the host of a URL that cannot be read; all of a plain file name."""
    if re.fullmatch(r"[\w./~ -]*", url):
        return url
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+]*):/", url)
    before, at, tail = url.rpartition("@")
    host = re.match(r"[\w.-]*", "" if "?" in before else tail)
    shown = f"{at}{host[0]}" if at and host else ""
    return f"{scheme[1] if scheme else ''}{'://' if scheme else ''}***{shown}"


def _read(url: str) -> sqlalchemy.URL:
    """Return a URL's parts if they are where they belong.

    Raises:
        StorageError: If a part cannot be read or looks like a password; the message says why.
    """
    from sqlalchemy import exc, make_url

    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise StorageError(f"write it as {_FORM}") from None
    host, database = parsed.host or "", parsed.database or ""
    if not re.fullmatch(r"[\w.,:%-]*", host) or not database.isprintable():
        raise StorageError(f"write it as {_FORM}")
    # The file me@work/a.db has an @ as well; only a : before it makes it look like a password.
    if re.search(":.*@" if is_file(parsed.drivername) else "@|:", database):
        raise StorageError("its file or database looks like a login")
    if "@" in str(parsed.query.get("host", "")):
        raise StorageError("its host looks like a login")
    return parsed


def is_file(scheme: str) -> bool:
    """Return whether storages of a scheme are files, which have no user and no host."""
    return scheme.partition("+")[0] in ("sqlite", "journal")


def parse(url: str) -> sqlalchemy.URL:
    """Return a storage URL parsed into its parts.

    Raises:
        StorageError: If it is not well-formed.
    """
    try:
        parsed = _read(url)
    except StorageError as error:
        raise StorageError(f"The storage URL {redact(url)!r} cannot be read: {error}.") from None
    kind = parsed.drivername
    login = [parsed.username, parsed.password, kind.startswith("sqlite") and parsed.host]
    if is_file(kind) and any(login) and "cipher" not in kind:
        raise StorageError(
            f"The storage URL {_stump(url)!r} has a user or a host, but {kind} is a file; write "
            f"it as {kind}:///file."
        )
    return parsed


def check_file(url: str, file: Path) -> Path:
    """Return the absolute path of a storage's file.

    Raises:
        StorageError: If its folder does not exist, or it is a folder itself.
    """
    if not file.parent.is_dir():
        raise StorageError(f"The folder of the storage {redact(url)!r} does not exist.")
    if file.is_dir():
        raise StorageError(f"The storage {redact(url)!r} is a folder, not a file.")
    return file.absolute()


def holds_secret(url: sqlalchemy.URL) -> bool:
    """Return whether a URL holds a password, also in its query."""
    return bool(url.password) or any(map(_SECRET_NAME.search, url.query))


def _secrets_of(url: sqlalchemy.URL) -> Iterator[str]:
    values = [str(url.password or "")]
    for name in url.query.keys() - {"host", "unix_socket"}:  # a driver's words name both
        value = url.query[name]
        values += [value] if isinstance(value, str) else value
    for value in filter(None, values):
        yield from (value, repr(value)[1:-1], urllib.parse.quote(value), str(value).casefold())


def failure(url: sqlalchemy.URL) -> Callable[[str], NoReturn]:
    """Return a function that raises why a storage cannot be opened.

    A driver's words that hold a secret are left out: a mask in their place would show where, and
    would mangle other words.
    """

    def fail(why: str) -> NoReturn:
        words = why.casefold()
        if any(
            re.search(rf"(?<!\w){re.escape(s.casefold())}(?!\w)", words) for s in _secrets_of(url)
        ):
            why = "the driver's message is not shown, as it repeats a part of the URL"
        shown = redact(url.render_as_string(hide_password=False))
        raise StorageError(f"Cannot open {shown}: {why.rstrip('.')}.") from None

    return fail
