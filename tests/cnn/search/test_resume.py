"""Killed and interrupted trainings: rows F4 and F14 of the fault list, with real networks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import TrialState

from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.data.loading import load_data
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.cnn.training.step import Stepper
from optuna_de.worker import stop_requested
from optuna_de.worker.optimize import optimize
from tests.cli.kit import environment
from tests.drills import POSIX
from tests.faults import storage_worker
from tests.faults.storage_worker import PATIENCE, age_heartbeats

pytestmark = [
    POSIX,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
EPOCHS = 6
MACHINE = f"""
import sys
from dataclasses import replace
from pathlib import Path
from optuna_de.cnn.search.search import Search
from optuna_de.worker.optimize import optimize
search = Search(
    storage=sys.argv[1], artifacts=Path(sys.argv[2]), epochs={EPOCHS}, trials=1, subset=200,
    device="cpu", halving=False, warm_start=("B16k3-B16k3-GAP",),
)
objective = search.objective()
told = replace(objective, on_epoch=lambda trial, epoch: print(epoch.number, flush=True))
optimize(search.study(objective), told, total=1)
"""


def machine(home: Path, url: str, shared: Path) -> subprocess.Popen[str]:
    """Start a worker in a folder of its own, as on another machine."""
    home.mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", MACHINE, url, str(shared)],
        cwd=home,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


def test_f4_another_machine_goes_on_from_the_checkpoint_of_a_killed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, shared = f"sqlite:///{tmp_path}/study.db", tmp_path / "shared"
    first = machine(tmp_path / "one", url, shared)
    assert first.stdout is not None
    while first.stdout.readline().strip() != "2":
        assert first.poll() is None
    first.kill()
    left = [int(line) for line in first.communicate()[0].split()]
    study = storage_worker.study_of(url, "digits-modern")
    assert [t.state for t in study.trials] == [TrialState.RUNNING]
    age_heartbeats(study)

    monkeypatch.setattr(sys, "argv", ["-c", url, str(shared)])
    torch.set_num_threads(1)
    exec(MACHINE, {})
    epochs = [int(line) for line in capsys.readouterr().out.split()]
    # The kill may have come after an epoch was saved and before it was told.
    assert epochs[0] in (max([2, *left]), max([2, *left]) + 1)
    assert epochs == list(range(epochs[0], EPOCHS + 1))
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert not list((shared / "checkpoints").iterdir())
    assert not list((tmp_path / "one").iterdir())
    storage_worker.close_all()


def test_f14_a_signal_ends_a_training_within_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data("digits", subset=400)
    space = CNNSpace(data.image_shape, len(data.classes))
    objective = CNNObjective(data, space, get_recipe("fast"), epochs=500, batch_size=4)
    study = optuna.create_study(directions=["minimize"] * 2)
    study.enqueue_trial(space.encode(parse("B16k3-MP-GAP")))
    steps = {False: 0, True: 0}
    real = Stepper.__call__

    def counted(self: Stepper, plan: torch.Tensor) -> None:
        steps[stop_requested()] += 1
        if steps[False] == 150:
            threading.Timer(0.0, os.kill, [os.getpid(), signal.SIGTERM]).start()
        real(self, plan)

    monkeypatch.setattr(Stepper, "__call__", counted)
    outcome = optimize(study, objective, total=1, grace=PATIENCE)
    assert (outcome.given_back, outcome.signal) == (1, signal.SIGTERM)
    assert steps[True] <= 1
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]
