"""Faults of files beside the storage: rows F39 and F46 of the fault list.

What happens to checkpoints, artifacts, curves and cards costs one warning, never a result.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import TrialState

from optuna_de.cli.app import run
from optuna_de.cli.runs import train as train_command
from optuna_de.cnn import CNNSpace, get_recipe
from optuna_de.cnn.evaluation.comparison import run_comparison
from optuna_de.cnn.search import CNNObjective
from optuna_de.cnn.training.epochs import Epoch
from tests.cnn.evaluation.test_comparison import Log, pair
from tests.cnn.kit import digits
from tests.cnn.training.kit import SMALL, job
from tests.drills import DRILL, POSIX

pytestmark = [
    POSIX,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


@pytest.fixture(autouse=True)
def fixture_one_thread() -> None:
    torch.set_num_threads(1)


def delete(folder: Path) -> None:
    shutil.rmtree(folder)


def replace_by_a_file(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.touch()


def replace_by_a_link_to_nowhere(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder.with_name("nowhere") / "deep")


def make_read_only(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write to read-only folders")


def make_immutable(folder: Path) -> None:
    """Make folders so that root cannot change them either."""
    folders = [str(p) for p in (folder, *folder.rglob("*")) if p.is_dir()]
    try:
        subprocess.run(["chattr", "+i", *folders], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("chattr +i is not permitted here")


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "artifacts"
    yield folder
    subprocess.run(["chattr", "-R", "-i", str(tmp_path)], check=False, capture_output=True)
    subprocess.run(["chmod", "-R", "u+w", str(tmp_path)], check=False, capture_output=True)


FAULTS = [
    delete,
    replace_by_a_file,
    pytest.param(replace_by_a_link_to_nowhere, marks=DRILL),
    pytest.param(make_read_only, marks=DRILL),
    pytest.param(make_immutable, marks=DRILL),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_f39_a_lost_artifacts_folder_costs_a_warning(
    folder: Path, caplog: pytest.LogCaptureFixture, fault: Callable[[Path], None]
) -> None:
    def strike(trial: optuna.Trial, epoch: Epoch) -> None:
        if (trial.number, epoch.number) == (1, 1):
            fault(folder)

    objective = CNNObjective(
        digits(),
        CNNSpace((1, 8, 8)),
        get_recipe("fast"),
        epochs=2,
        artifacts=folder,
        checkpoints=folder / "checkpoints",
        on_epoch=strike,
    )
    study = optuna.create_study(directions=["minimize"] * 2)
    study.optimize(objective, n_trials=4)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 4
    sentences = [record.getMessage() for record in caplog.records]
    assert len(set(sentences)) == len(sentences) <= 3, sentences
    assert bool(sentences) == (fault is not delete)


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


TRAIN = ["train", "--architecture", SMALL, "--device", "cpu", "--threads", "1", "--epochs", "1"]


@pytest.fixture(name="place")
def fixture_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_f39_pages_that_cannot_be_written_cost_a_warning(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("optuna_de.cnn.evaluation.results.write_curves", full)
    assert run([*TRAIN, "--out", "out"]) == 0
    assert (place / "out/result.json").is_file()
    assert "Curves and drawing cannot be written to out: No space left" in caplog.text


def test_f39_figures_that_cannot_be_written_are_printed(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(train_command, "write_result", full)
        assert run([*TRAIN, "--out", "out"]) == 1
    assert "Last epoch (1): test accuracy" in capsys.readouterr().out
    assert "Run the same command again" in caplog.text
    assert run([*TRAIN, "--out", "out"]) == 0
    assert "epoch 1 of 1" in capsys.readouterr().err  # told again, not trained again
    assert (place / "out/result.json").is_file()


def test_f39_weights_that_cannot_be_written_keep_the_test_split_shut(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("optuna_de.cnn.evaluation.results.save_model", full)
        patch.setattr("optuna_de.cnn.data.loading.load_test", pytest.fail)
        assert run([*TRAIN, "--out", "out"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert run([*TRAIN, "--out", "out"]) == 0


def test_f39_a_comparison_without_checkpoints_trains_each_network_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("optuna_de.cnn.training.checkpoint.write_bytes", full)
    log = Log()
    result = run_comparison(pair(seeds=(0,)), log.test, tmp_path / "out", log.watch)
    assert log.events == ["epoch"] * 4 + ["test"]
    assert all(row["mean"] is not None for row in result["rows"])
    assert len(caplog.records) == 2  # one for each network's folder


def test_f39_a_folder_without_room_is_refused_before_training(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = type(shutil.disk_usage(place))(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    for command in (TRAIN, ["compare", *TRAIN[3:], "--architecture", SMALL, "--baselines", ""]):
        assert run([*command, "--out", command[0]]) == 2
        out, err = capsys.readouterr()
        assert not out
        assert "MB free, but has 0 MB." in err


def test_f39_a_folder_that_cannot_be_written_to_is_refused_before_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent)
    folder.mkdir()
    make_immutable(folder)
    assert run([*TRAIN, "--out", str(folder)]) == 2
    assert "cannot be written to: " in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{"classes": True}, {"name": True}, {"origin": True}])
def test_f46_names_that_are_not_utf8_are_refused_before_training(changes: dict[str, Any]) -> None:
    data = digits()
    name = "caf\udce9"
    if "classes" in changes:
        data = replace(data, classes=(name, *data.classes[1:]))
    if "name" in changes:
        data = replace(data, name=name)
    origin = name if "origin" in changes else ""
    with pytest.raises(ValueError, match=r"The name 'caf\\udce9' is not valid UTF-8; rename it\."):
        job(data=data, origin=origin)


def test_f46_a_folder_whose_name_is_not_utf8_gets_its_files(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = "caf\udce9"
    assert run([*TRAIN, "--out", out]) == 0
    assert json.loads((place / out / "result.json").read_text())["figures"]
