"""Searches whose output goes nowhere: row F44 of the fault list."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from optuna_de.cli.app import run
from optuna_de.cnn.search import objective
from optuna_de.cnn.study.trials import count_finished
from optuna_de.storage.open_storage import open_storage
from tests.cli.kit import FAST, URL, environment, study_in
from tests.drills import DRILL

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
OPTIONS = [*FAST, "--subset", "120", "--max-parameters", "8000"]
COMMAND = " ".join([sys.executable, "-m", "optuna_de", "search", *OPTIONS])


def shell(folder: Path, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        check=False,
        cwd=folder,
        env={**environment(), **variables},
        text=True,
        timeout=240,
    )


@pytest.mark.parametrize(
    "into",
    ["2>&1 | head -c 1", pytest.param("<&- >&- 2>&-", marks=DRILL)],
)
def test_f44_output_that_nobody_reads_costs_nothing(tmp_path: Path, into: str) -> None:
    done = shell(tmp_path, f"{COMMAND} --trials 2 {into}; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    assert "Exception" not in done.stderr
    assert count_finished(study_in(tmp_path)) == 2
    assert (tmp_path / "study.db").read_bytes().startswith(b"SQLite format 3")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_f44_output_onto_a_full_disk_is_one_sentence_after_the_work(tmp_path: Path) -> None:
    optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/study.db"), study_name="s")
    line = f"{sys.executable} -m optuna_de report --storage {URL} --format md > /dev/full"
    done = shell(tmp_path, line)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "Error: Standard output cannot be written: No space left on device."
    )
    assert "Traceback" not in done.stderr
    assert (tmp_path / "report.md").read_text().startswith("# s")


def test_f44_an_ascii_terminal_of_twenty_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "--study-name 'Küche-✓'"
    variables = {"COLUMNS": "20", "PYTHONIOENCODING": "ascii"}
    done = shell(tmp_path, f"{COMMAND} {name} --trials 1", **variables)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.isascii()
    assert "Pareto front" in done.stdout
    assert count_finished(study_in(tmp_path, "Küche-✓")) == 1
    said = shell(tmp_path, f"{sys.executable} -m optuna_de --help", **variables)
    assert said.returncode == 0, said.stderr
    monkeypatch.setenv("COLUMNS", "20")
    assert run(["search", "--help"]) == 0


DELETE = """
import time, optuna
from optuna_de.storage import open_storage
storage = open_storage("sqlite:///study.db")
while True:
    time.sleep(0.1)
    if "digits-modern" in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name="digits-modern", storage=storage)
        if any("seed" in trial.user_attrs for trial in study.trials):
            break
optuna.delete_study(study_name="digits-modern", storage=storage)
"""


def test_f44_a_study_that_is_deleted_meanwhile_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def delete(*_: object, **__: object) -> bool:
        optuna.delete_study(study_name="digits-modern", storage=study_in(tmp_path)._storage)
        return False

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(objective, "train", delete)
    assert run(["search", *OPTIONS, "--trials", "2"]) == 1
    err = capsys.readouterr().err
    assert err.count("was deleted while") == 1
    assert "Traceback" not in err


@DRILL
@pytest.mark.parametrize("workers", ["1", "2"])
def test_f44_a_study_that_is_deleted_meanwhile_ends_all_workers(
    tmp_path: Path, workers: str
) -> None:
    (tmp_path / "delete.py").write_text(DELETE)
    line = f"{COMMAND} --epochs 300 --trials 9 --no-halving --workers {workers}"
    later = f"{sys.executable} -W ignore delete.py 2>/dev/null"
    done = shell(tmp_path, f"({later}) & {line}; code=$?; wait; exit $code")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("was deleted while") == 1
