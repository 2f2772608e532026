"""Laws of storage URLs: what is shown of them holds no secret (row F48); no server."""

from __future__ import annotations

import re
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from optuna_de.storage import StorageError, backoff, redact
from optuna_de.storage.open_storage import existing, open_storage

SECRET = "Tr0ub4dor"
WRONG = [
    # The scheme is forgotten, mistyped, or has one slash.
    f"u:{SECRET}@h/d",
    f"u:{SECRET}@h:5432/d",
    f"//u:{SECRET}@h/d",
    f"://u:{SECRET}@h/d",
    f"postgresql:u:{SECRET}@h/d",
    f"postgresql:/u:{SECRET}@h/d",
    f"postgresql:///u:{SECRET}@h/d",
    f"postgresql:////u:{SECRET}@h/d",
    f"postgresql//u:{SECRET}@h/d",
    f"postgresql;//u:{SECRET}@h/d",
    f"postgresql:\\\\u:{SECRET}@h\\d",
    f"mysql:/u:{SECRET}@h/d",
    f"postgreql://u:{SECRET}@h/d",
    f"http://u:{SECRET}@h/d",
    f"redis://:{SECRET}@h:6379/0",
    f" postgresql://u:{SECRET}@h/d",
    f"postgresql ://u:{SECRET}@h/d",
    f"POSTGRESQL://u:{SECRET}@h/d",
    f"storage=postgresql://u:{SECRET}@h/d",
    # The password holds what should be escaped, before or behind the secret.
    f"postgresql://u:{SECRET}@x@h/d",
    f"postgresql://u:x@{SECRET}@h/d",
    f"postgresql://u:x@{SECRET}@{SECRET}@h/d",
    f"postgresql://u:x/{SECRET}@h/d",
    f"postgresql://u:x@y/{SECRET}@h/d",
    f"postgresql://u:x?{SECRET}@h/d",
    f"postgresql://u:x@y?{SECRET}@h/d",
    f"postgresql://u:x#{SECRET}@h/d",
    f"postgresql://u:x:{SECRET}@h/d",
    f"postgresql://u:x%{SECRET}@h/d",
    f"postgresql://u:{SECRET}%40@h/d",
    f"postgresql://u:x@{SECRET}@h:port/d",
    f"postgresql://u:x [{SECRET}]@h/d",
    f"postgresql://u:x\n{SECRET}@h/d",
    f"mysql://u:x@{SECRET}@h/d",
    # The host, the user or the port is forgotten or misplaced.
    f"postgresql://u:{SECRET}",
    f"postgresql://u:{SECRET}/d",
    f"postgresql://u:{SECRET}@",
    f"postgresql://u:{SECRET}@/d",
    f"postgresql://u:{SECRET}@:5432/d",
    f"postgresql://:{SECRET}@h/d",
    f"postgresql://u:{SECRET}@h:99999999/d",
    f"postgresql://u:{SECRET}@h:/d",
    f"postgresql://h:5432:u:{SECRET}/d",
    f"postgresql://h/d:{SECRET}",
    f"postgresql://h/u:{SECRET}@d",
    f"postgresql://u%3A{SECRET}@h/d",
    f"postgresql://u%3a{SECRET}:p@h/d",
    f"mysql://u:{SECRET}:3306/d",
    # The password stands in the query, under any name.
    f"postgresql://u@h/d?password={SECRET}",
    f"postgresql://u@h/d?PASSWORD={SECRET}",
    f"postgresql://u@h/d?Password={SECRET}&sslmode=disable",
    f"postgresql://u@h/d?passwd={SECRET}",
    f"postgresql://u@h/d?pwd={SECRET}",
    f"postgresql://u@h/d?dsn=host=h password={SECRET}",
    f"postgresql://u@h/d?dsn=postgresql://u:{SECRET}@h/d",
    f"postgresql://u@h/d?options=-c password={SECRET}",
    f"postgresql://u@h/d?password=x&{SECRET}",
    f"postgresql://u@h/d?password=x@{SECRET}",
    f"postgresql://u@h/d?sslpassword={SECRET}",
    f"postgresql://u@h/d?sslmode={SECRET}",
    f"postgresql://u@h/d?connect_timeout={SECRET}",
    f"postgresql:///d?host=u:{SECRET}@h",
    f"postgresql://u@h/d?port={SECRET}",
    f"mysql://u@h/d?passwd={SECRET}",
    f"mysql://u@h/d?PASSWORD={SECRET}",
    f"mysql://u@h/d?ssl={SECRET}",
    f"mysql://u@h/d?charset={SECRET}",
    f"mysql://u@h/d?init_command={SECRET}",
    f"mysql://u@h/d?port={SECRET}",
    # Files have no user, no host and no password.
    f"sqlite://u:{SECRET}@h/a.db",
    f"sqlite:///u:{SECRET}@h/a.db",
    f"sqlite:////u:{SECRET}@h/a.db",
    f"sqlite:/u:{SECRET}@h/a.db",
    f"sqlite://:{SECRET}@/a.db",
    f"sqlite://u:{SECRET}@/:memory:",
    f"sqlite:///no/a.db?password={SECRET}",
    f"sqlite:///:memory:?key={SECRET}",
    f"sqlite+pysqlcipher://:{SECRET}@/no/a.db",
    f"journal://u:{SECRET}@h/a.log",
    f"journal:///u:{SECRET}@h/a.log",
    f"journal:///no/a.log?password={SECRET}",
    f"grpc://u:{SECRET}@h:1",
    f"grpc://u:{SECRET}@127.0.0.1:1",
    f"grpc://x:{SECRET}",
    f"grpc://127.0.0.1:1/?token={SECRET}",
    # Other ways to write a connection.
    f"host=h user=u password={SECRET} dbname=d",
    f"Server=h;Uid=u;Pwd={SECRET};",
    f"u:{SECRET}",
    f"jdbc:postgresql://h/d?user=u&password={SECRET}",
]
"""Spellings of a storage with a password, each wrong or unusual in one way."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(backoff, "RESTART", 0.0)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _seconds: None)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("url", WRONG)
def test_f48_a_password_is_not_shown(url: str) -> None:
    assert SECRET not in redact(url)


def unresolved(url: str) -> str:
    """Return the URL with a host that is unknown at once."""
    return re.sub(r"@h(?=[:/]|$)", "@127.0.0.1", url)


@pytest.mark.parametrize("url", WRONG)
@pytest.mark.parametrize("opens", [open_storage, existing])
def test_f48_a_password_is_in_no_message(
    url: str, opens: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    assert callable(opens)
    with pytest.raises(ValueError, match=r"\.$") as error:
        opens(unresolved(url))
    shown = str(error.value) + "".join(traceback.format_exception(error.value)) + caplog.text
    lines = [line for line in shown.splitlines() if "opens(" not in line]
    assert SECRET not in "\n".join(lines)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:pa%40ss@h/d", "postgresql://u:***@h/d"),
        ("postgresql://me%40corp:p@h:5432/d", "postgresql://***:***@h:5432/d"),
        ("postgresql://u:p/a?s:s@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:p@[::1]:5432/d", "postgresql://u:***@[::1]:5432/d"),
        ("postgresql://u:p@h1,h2/d", "postgresql://u:***@h1,h2/d"),
        ("mysql://u:p@a@h:nonsense/d", "mysql://***@h"),
        ("postgresql:/u:p@db.example.org:5432/d", "postgresql://***@db.example.org"),
        ("u:p@h/d", "***@h"),
        ("postgresql://u@h/d?password=pa%40ss", "postgresql://u@h/d"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("sqlite:////home/me@work/a b.db?mode=ro", "sqlite:////home/me@work/a b.db"),
        ("sqlite:///C:/a.db", "sqlite:///C:/a.db"),
        ("sqlite:///file:a.db?uri=true", "sqlite:///file:a.db"),
        ("journal:///home/me@work/a.log", "journal:///home/me@work/a.log"),
        ("grpc://h:13000", "grpc://h:13000"),
        ("study.db", "study.db"),
        ("", ""),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize("password", ["a", "o", "user", "open", "e", "postgresql", "127", "*"])
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_f48_a_short_password_mangles_no_word(scheme: str, password: str) -> None:
    pytest.importorskip("psycopg")
    pytest.importorskip("pymysql")
    with pytest.raises(StorageError) as error:
        open_storage(f"{scheme}://u:{password}@127.0.0.1:1/d")
    text = str(error.value)
    assert text.startswith(f"Cannot open {scheme}://u:***@127.0.0.1:1/d: ")
    reason = text.partition(": ")[2]
    assert "refused" in reason or reason.startswith("the driver's message is not shown")
    assert "***" not in reason


def test_f48_an_option_that_the_driver_does_not_take_is_one_sentence() -> None:
    pytest.importorskip("pymysql")
    with pytest.raises(StorageError, match=r"does not accept the options of the URL \(.*Error\)"):
        open_storage("mysql://u@127.0.0.1:1/d?ssl=x")


COMMANDS = (
    *("search --trials 1", "report", "dashboard --port 0"),
    *("train --study-name s --trial 0", "compare --study-name s"),
)
SHOWN = [
    f"postgresql://u:x@{SECRET}@127.0.0.1:1/d",
    f"postgresql:/u:{SECRET}@h/d",
    f"u:{SECRET}@h/d",
    f"sqlite://u:{SECRET}@h/a.db",
    f"mysql://u@127.0.0.1:1/d?ssl={SECRET}",
    f"journal:///u:{SECRET}@h/a.log",
]


def test_f48_no_command_shows_a_password(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    code = (
        "import sys\n"
        "from optuna_de.storage import backoff\n"
        "from optuna_de.cli.app import run\n"
        "backoff.RESTART = 0.0\n"
        f"for command in {[command.split() for command in COMMANDS]!r}:\n"
        "    for url in sys.argv[1:]:\n"
        "        assert run([*command, '--storage', url]) == 2, (command, url)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *SHOWN],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    output = run.stdout + run.stderr
    assert SECRET not in output
    assert "Traceback" not in output
    assert run.returncode == 0
    assert output.count("Error:") == len(SHOWN) * len(COMMANDS)


def test_f48_a_search_does_not_show_its_password() -> None:
    search = pytest.importorskip("optuna_de.cnn.search.search").Search
    assert SECRET not in repr(search(storage=f"postgresql://u:{SECRET}@h/d"))
