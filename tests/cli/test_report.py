"""The commands that show a study, as a user types them."""

import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import optuna
import pytest
import typer
from typer.testing import CliRunner

from optuna_de import _compat, open_storage
from optuna_de.cli.report import dashboard, report
from tests.cnn.report import kit as report_kit
from tests.drills import POSIX

APP = typer.Typer()
APP.command()(report)
APP.command()(dashboard)
MAIN = "from tests.cli.test_report import APP; APP()"


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = report_kit.networks(4)
    source, _ = _compat.study_key(study)
    optuna.copy_study(
        from_study_name=study.study_name, from_storage=source, to_storage=open_storage(url)
    )
    return url


def run(*arguments: object) -> Any:
    return CliRunner().invoke(APP, [str(a) for a in arguments])


def refusal(*arguments: object) -> str:
    error = run(*arguments).exception
    assert isinstance(error, ValueError), error
    return str(error)


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAIN, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("fmt", "start"), [("html", "<!doctype html>"), ("md", "# digits")])
def test_a_report_is_written(url: str, tmp_path: Path, fmt: str, start: str) -> None:
    path = tmp_path / f"out.{fmt}"
    result = run("report", "--storage", url, "--out", path, "--format", fmt)
    assert result.exit_code == 0
    assert "Wrote" in result.output
    text = path.read_text()
    assert text.startswith(start)
    assert "--study-name digits-modern --trial " in text
    assert "data-refresh=" not in text


def test_what_cannot_be_reported_is_said(url: str, tmp_path: Path) -> None:
    empty = f"sqlite:///{tmp_path / 'empty.db'}"
    open_storage(empty)
    assert refusal("report", "--storage", empty).endswith("empty.db has no study yet.")
    assert "has no study 'x'; it has ['digits-modern']" in refusal(
        "report", "--storage", url, "--study-name", "x"
    )
    assert "not 'pdf'" in refusal("report", "--storage", url, "--format", "pdf")
    optuna.create_study(study_name="second", storage=open_storage(url))
    assert "choose a --study-name" in refusal("report", "--storage", url)


@pytest.mark.parametrize("command", ["report", "dashboard"])
@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///none.db",
        "sqlite:///{}/none.db",
        "sqlite:///file:none.db?uri=true",
        "journal:///{}/none.db",
    ],
)
def test_a_missing_file_is_said_and_not_made(
    command: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = refusal(command, "--storage", url.format(tmp_path))
    assert re.fullmatch(
        r"There is no file '.*none\.db'\. Run optuna-de search first, or give --storage\.", said
    )
    assert not list(tmp_path.iterdir())


def test_figures_are_stored_for_the_dashboard(url: str, tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed.")
    path = tmp_path / "out.md"
    run("report", "--storage", url, "--out", path, "--format", "md", "--to-dashboard")
    storage = open_storage(url)
    attrs = storage.get_study_system_attrs(storage.get_study_id_from_name("digits-modern"))
    assert any("optuna_de.front" in key for key in attrs), attrs.keys()


@POSIX
def test_watching_follows_the_study_until_interrupted(url: str, tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    study = optuna.load_study(study_name="digits-modern", storage=open_storage(url))
    with start("report", "--storage", url, "--out", path, "--watch", 1) as process:
        wait(lambda: path.exists() and 'data-refresh="1' in path.read_text()[:99])
        study.add_trial(study.trials[0])
        wait(lambda: "5 finished trials" in path.read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert "data-refresh=" not in path.read_text()[:99]


def wait(is_so: Any) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@POSIX
def test_the_dashboard_says_where_it_is_and_what_exposing_it_means(url: str) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed.")
    with start("dashboard", "--storage", url, "--port", 0) as process:
        assert process.stdout is not None
        place, meaning = process.stdout.readline(), process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", place)
        assert address is not None
        with urllib.request.urlopen(f"{address[0]}api/studies", timeout=240) as answer:
            assert b"digits-modern" in answer.read()
        assert "no password" in meaning
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0
        assert errors == ""  # no warning of others


def test_a_missing_folder_of_files_is_said(url: str, tmp_path: Path) -> None:
    assert "There is no folder" in refusal(
        "dashboard", "--storage", url, "--artifacts", tmp_path / "none"
    )
