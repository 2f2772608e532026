"""Fixtures of real databases, one server of each kind for all tests that ask for it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.drills import DRILL
from tests.faults import storage_worker

SQLITE_AND_POSTGRES = ["sqlite", "postgres", pytest.param("mariadb", marks=DRILL)]
"""Values of ``url`` for a test of many processes."""
SQLITE_FIRST = ["sqlite", *(pytest.param(n, marks=DRILL) for n in ("postgres", "mariadb"))]
"""Values of ``url`` for a test of what does not depend on the database."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Server]:
    """A PostgreSQL server."""
    yield from _server(servers.postgres)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[servers.Server]:
    """A MariaDB server."""
    yield from _server(servers.mariadb)


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    storage_worker.close_all()


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """The URL of a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path}/study.db"


def _server(start: Any) -> Iterator[servers.Server]:
    # Not pytest's folder: each pytest that starts closes it to the server's user.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        try:
            with start(Path(folder)) as server:
                yield server
        except servers.Unavailable as why:
            pytest.skip(str(why))


@pytest.fixture(params=["postgres", "mariadb"])
def server_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of each kind of server."""
    return str(request.getfixturevalue(request.param).database())


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    return str(request.getfixturevalue(request.param).database())
