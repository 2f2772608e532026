"""The command line as a user meets it: runs, joins, refusals, exit codes."""

import hashlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import optuna
import pytest
import torch

from optuna_de.cli.app import run
from optuna_de.cnn.study.trials import count_finished
from optuna_de.storage import backoff
from optuna_de.storage.open_storage import open_storage
from tests.cli.kit import FAST, end, environment, start, study_in
from tests.cnn.data.kit import paint
from tests.drills import DRILL

SMALL = ["--max-parameters", "8000"]


Output = pytest.CaptureFixture[str]


@pytest.fixture(name="here")
def fixture_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, on a wide terminal and one thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    torch.set_num_threads(1)
    return tmp_path


def test_search_continues_joins_and_tells_when_it_is_done(here: Path, capsys: Output) -> None:
    small = ["search", *FAST, *SMALL, "--subset", "200"]
    assert run([*small, "--trials", "2"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(
        "Study digits-modern in sqlite:///study.db.\n"
        "Data digits: 10 classes, 180 images for training, 20 for validation (drawn), 359 for the "
    )
    assert "Pareto front of digits-modern" in out
    assert all(name in out for name in ("trial", "architecture", "error", "parameters", "MACs"))
    assert [line.split(":")[0] for line in err.splitlines()] == ["1 of 2", "2 of 2"]

    other = start(here, *small[1:], "--trials", "7")
    assert run([*small, "--trials", "7"]) == 0
    assert end(other)[0] == 0
    assert count_finished(study_in(here)) == 7

    capsys.readouterr()
    assert run([*small, "--trials", "7"]) == 0
    out, err = capsys.readouterr()
    assert "All 7 trials are finished" in out
    assert "Pareto front" in out
    assert not err


def test_a_searched_network_is_far_from_chance(here: Path) -> None:
    options = ["--trials", "3", "--epochs", "5", "--no-halving", "--max-macs", "600000"]
    assert run(["search", *FAST, *options]) == 0
    assert min(t.values[0] for t in study_in(here).best_trials) < 0.3


def test_a_folder_of_images_is_searched(here: Path, capsys: Output) -> None:
    paint(here / "insects", n=12, side=(7, 9))
    warm = ["--warm-start", "B8k3-MP-B8k3-GAP,B9k3-D9k3-GAP", "--trials", "2"]
    assert run(["search", *FAST, "--data", "insects", *warm]) == 0
    out, _ = capsys.readouterr()
    assert "Study insects-modern" in out
    assert "Next: optuna-de train --storage sqlite:///study.db --study-name insects-modern" in out
    trials = study_in(here, "insects-modern").trials
    assert all(0 <= t.values[0] <= 0.5 for t in trials)


@pytest.fixture(name="place")
def fixture_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with image folders of every bad sort and a study of another shape."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare").mkdir()
    (tmp_path / "hollow" / "train").mkdir(parents=True)
    paint(tmp_path / "lonely", ["ant"])
    paint(tmp_path / "torn")
    (tmp_path / "torn" / "train" / "ant" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    optuna.create_study(storage=open_storage("sqlite:///other.db"), study_name="digits-modern")
    (tmp_path / "text.db").write_text("this is no database, " * 100)
    return tmp_path


BAD = {
    "missing folder": (["--data", "no/such/folder"], "no/such/folder"),
    "no folder train": (["--data", "./bare"], "train"),
    "no classes": (["--data", "./hollow"], "class"),
    "one class": (["--data", "./lonely"], "class"),
    "unreadable image": (["--data", "./torn"], "0.png"),
    "unknown data set": (["--data", "CIFAR11"], "CIFAR11"),
    "absent data set": (["--data", "CIFAR10"], "--download"),
    "negative population": (["--population", "-5"], "-5"),
    "weights of zero": (["--weights", "0,0"], "weights"),
    "negative weights": (["--weights", "-1,0.5"], "weights"),
    "weights in words": (["--weights", "high,low"], "'high,low'"),
    "three weights": (["--weights", "1,1,1"], "weights"),
    "unknown device": (["--device", "tpu"], "'tpu'"),
    "no URL": (["--storage", "study.db"], "study.db"),
    "unknown kind of URL": (["--storage", "oracle://host/db"], "oracle"),
    "storage in a missing folder": (["--storage", "sqlite:///no/study.db"], "folder"),
    "storage that is a text": (["--storage", "sqlite:///text.db"], "text.db"),
    "study of another shape": (["--storage", "sqlite:///other.db"], "two objectives"),
    "unknown preset": (["--preset", "fastest"], "'fastest'"),
    "unknown recipe": (["--recipe", "slow"], "'slow'"),
    "bad warm start": (["--warm-start", "Q8k3"], "Q8k3"),
    "foreign warm start": (["--warm-start", "model1"], "modern space"),
    "no workers": (["--workers", "0"], "workers must be at least 1"),
    "no trials": (["--trials", "0"], "trials must be at least 1"),
    "no epochs": (["--epochs", "0"], "epochs must be at least 1"),
    "no time": (["--timeout", "0"], "timeout must be above 0"),
    "no batch": (["--batch", "-1"], "batch_size must be at least 1"),
    "no parameters": (["--max-parameters", "0"], "max_parameters must be at least 1"),
    "unknown objective": (["--objectives", "error,speed"], "no price 'speed'"),
    "no error": (["--objectives", "parameters"], "and one or more different prices of"),
    "weights of two": (["--objectives", "error,macs,parameters", "--weights", "1,1"], "must be 3"),
    "no limit": (["--limit", "parameters=5"], "must read like parameters<=500k"),
    "unknown limit": (["--limit", "speed<=5"], "on no known price"),
    "limit of nothing": (["--limit", "macs<=0"], "'0' of macs must be a number above 0"),
    "limit of a wrong unit": (["--limit", "macs<=5ms"], "suffixes: none, k, M, G"),
    "two limits": (["--limit", "macs<=5M", "--max-macs", "5"], "macs has more than one limit"),
    "objectives of the seed": (["--preset", "seed", "--objectives", "error,macs"], "error,macs"),
    "no fraction": (
        ["--validation-fraction", "1"],
        "validation_fraction must be above 0 and below 1, but is 1.0",
    ),
    "negative seed": (["--seed", "-1"], "-1"),
    "negative split seed": (
        ["--split-seed", "-1"],
        "split_seed must be in [0, 4294967295], but is -1",
    ),
    "tiny subset": (["--subset", "3"], "3"),
    "head of the seed": (["--evolve-head"], "evolve_head"),
    "population of the seed": (["--preset", "seed", "--population", "9"], "population is 9"),
}


@pytest.mark.parametrize("bad", BAD)
def test_wrong_input_is_one_sentence(
    place: Path, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options, name = BAD[bad]
    before = contents(place)
    assert run(["search", "--storage", "sqlite:///new.db", "--device", "cpu", *options]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert err.endswith(".\n")
    assert name in err
    assert contents(place) == before


def contents(folder: Path) -> dict[str, str]:
    """Return what every file says: a database's dump, the digest of others."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p): content(p) for p in files if p.suffix not in (".db-wal", ".db-shm")}


def content(file: Path) -> str:
    if not file.read_bytes().startswith(b"SQLite format 3"):
        return hashlib.sha256(file.read_bytes()).hexdigest()
    with closing(sqlite3.connect(file)) as connection:
        return "\n".join(connection.iterdump())


def test_a_password_is_not_shown(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RESTART", 1.0)  # seconds a server has to come back
    assert run(["search", "--storage", "postgresql://me:s3cret@localhost:1/db"]) == 2
    out, err = capsys.readouterr()
    assert "s3cret" not in out + err
    assert "***" in err


@pytest.mark.parametrize(
    "options", [["search", "--trials", "many"], ["search", "--no-such"], ["x"]]
)
def test_wrong_usage_exits_with_two(options: list[str]) -> None:
    assert run(options) == 2


@pytest.mark.parametrize("command", [[], ["search"]])
def test_help_fits_eighty_columns(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*command, "--help"]) == 0
    out, _ = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    assert "search" in out
    assert not command or "seed: 100" in out


@pytest.mark.parametrize(
    "missing", ["typer", "torch", *(pytest.param(n, marks=DRILL) for n in ("rich", "sklearn"))]
)
def test_a_missing_extra_is_one_sentence(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['optuna-de', 'search'];"
        "from optuna_de.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        env=environment(),
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f'Error: {missing} is missing; install the package as "optuna-')
    assert 'optuna-de[cnn]"' in done.stderr
    assert done.stderr.count("\n") == 1
