"""Workers of one search: interrupted, killed and restarted, they lose and repeat nothing."""

import dataclasses
import io
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from optuna.trial import TrialState

from optuna_de.cli.app import run
from optuna_de.cnn.search import objective as objectives
from optuna_de.cnn.search import worker_pool as workers
from optuna_de.cnn.search import worker_process as worker
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.study.trials import count_finished
from optuna_de.worker.optimize import StudyDeletedError, TooManyFailuresError
from tests import servers
from tests.cli.kit import FAST, end, interrupt, start, study_in
from tests.drills import DRILL, HANGUP, KILL, LINUX, POSIX

LONG = [
    *FAST,
    "--epochs",
    "40",
    "--trials",
    "1",
    "--no-halving",
    "--warm-start",
    "B16k3-B16k3-GAP",
]
LEFT = 5.0  # seconds
PATIENCE = 240.0
TINY = ["--subset", "120", "--max-parameters", "10000"]


def checkpointed(folder: Path, trials: int = 1) -> bool:
    files = (folder / "optuna_de_artifacts" / "checkpoints").glob("*.pt")
    return len(list(files)) >= trials


@POSIX
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=DRILL)])
def test_an_interrupted_training_goes_on_where_it_was(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(tmp_path, *LONG)
    interrupt(process, number, lambda: checkpointed(tmp_path))
    code, out, err = end(process)
    assert code == 128 + number
    assert "has no finished network yet" in out
    assert "Interrupted: running trials are queued again" in err
    first, clone = study_in(tmp_path).trials
    assert (first.state, clone.state) == (TrialState.FAIL, TrialState.WAITING)
    done = _history(tmp_path)

    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    assert run(["search", *LONG]) == 0
    *_, last = study_in(tmp_path).trials
    assert last.state == TrialState.COMPLETE
    assert last.user_attrs["epochs"] == 40
    losses = [row[1] for row in last.user_attrs["curve"]]
    assert losses[: len(done)] == [round(epoch[1], 6) for epoch in done]
    assert not list((tmp_path / "optuna_de_artifacts" / "checkpoints").iterdir())


def _history(folder: Path) -> list[list[float]]:
    """Return the epochs that a search's only checkpoint holds."""
    (file,) = (folder / "optuna_de_artifacts" / "checkpoints").iterdir()
    body = io.BytesIO(file.read_bytes().partition(b"\n")[2])
    return list(torch.load(body, weights_only=True)["epochs"])


def test_two_workers_share_the_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["search", *FAST, *TINY, "--workers", "2", "--trials", "4"]) == 0
    out, err = capsys.readouterr()
    assert "Pareto front of digits-modern" in out
    assert "4 of 4" in err
    assert count_finished(study_in(tmp_path)) == 4


@POSIX
def test_a_killed_worker_is_replaced_and_ctrl_c_is_quiet_even_as_one_starts(
    tmp_path: Path,
) -> None:
    process = start(tmp_path, *LONG, "--workers", "2", "--trials", "4", "--epochs", "500")
    interrupt(process, signal.SIGCONT, lambda: checkpointed(tmp_path, trials=2))
    victim, other = _children(process.pid)
    os.kill(victim, signal.SIGKILL)
    interrupt(process, signal.SIGINT, lambda: len({*_children(process.pid)} - {victim, other}) > 0)
    code, _, err = end(process)
    assert code == 130
    assert "Interrupted" in err
    states = [t.state for t in study_in(tmp_path).trials]
    assert states.count(TrialState.RUNNING) <= 1  # the killed worker's, until it is taken for dead
    assert states.count(TrialState.FAIL) == states.count(TrialState.WAITING) > 0


@DRILL
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_as_the_first_worker_starts_is_quiet_and_leaves_none(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, *LONG, "--workers", "2", "--trials", "4")
    begun: list[int] = []

    def starting() -> bool:
        begun.extend(_children(process.pid))
        return bool(begun)

    interrupt(process, number, starting)
    code, _, err = end(process)
    assert code == 128 + number
    assert "Traceback" not in err
    assert not any(Path(f"/proc/{pid}").exists() for pid in begun)
    assert not any(t.state == TrialState.RUNNING for t in study_in(tmp_path).trials)


@LINUX
@pytest.mark.parametrize("number", [KILL, pytest.param(HANGUP, marks=DRILL)])
def test_f43_workers_leave_within_seconds_of_their_launcher(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, *LONG, "--workers", "2", "--trials", "4", "--epochs", "5000")
    workers_of: list[int] = []

    def training() -> bool:
        workers_of[:] = _children(process.pid)
        trials = study_in(tmp_path).trials if checkpointed(tmp_path) else []
        return sum("seed" in trial.user_attrs for trial in trials) == 2

    servers.wait_for(training, PATIENCE, "no trials")
    process.send_signal(number)
    sent = time.monotonic()
    while any(map(_lives, workers_of)):
        assert time.monotonic() - sent < LEFT
        time.sleep(0.05)
    code, _, _ = end(process)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    states = [t.state for t in study_in(tmp_path).trials]
    assert states == [TrialState.FAIL] * 2 + [TrialState.WAITING] * 2


def _lives(pid: int) -> bool:
    """Return whether a process lives; an orphan that init has not waited for does not."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            != "Z"
        )
    except OSError:
        return False


def _children(parent: int) -> list[int]:
    """Return the workers of a search."""
    listing = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(parent)],
        capture_output=True,
        check=False,
        text=True,
    )
    lines = (line.split(None, 1) for line in listing.stdout.splitlines())
    return [int(pid) for pid, arguments in lines if "spawn_main" in arguments]


def test_a_lost_device_ends_the_process_with_its_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(objectives, "train", fail)
    described = Search(storage="sqlite:///study.db", epochs=1, trials=2, subset=120, device="cpu")
    study = described.study(described.objective())
    assert worker.work(described, study, threads=1) == worker.GAVE_BACK
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    assert "the device is lost: CUDA error" in caplog.text
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert worker.work(described, study, threads=1) == 0
    assert sum(t.state == TrialState.COMPLETE for t in study.trials) == 2


def test_cards_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= workers.default_workers("cpu") <= (os.cpu_count() or 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert workers.default_workers("auto") == workers.default_workers("cuda") == 3
    assert workers.default_workers("cuda:1") == 1
    assert workers.default_workers("cpu") == workers.cores()


def test_workers_that_keep_dying_end_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage is a folder that is not there, so each worker dies as it starts."""
    monkeypatch.setattr(workers, "MAX_RESTARTS", 0)
    described = dataclasses.replace(
        Search(device="cpu", trials=2), storage=f"sqlite:///{tmp_path}/no/study.db"
    )
    with pytest.raises(
        TooManyFailuresError, match="A worker died 1 times in a row, the last with"
    ):
        workers.work_together(described, 1, watch=lambda: None)


def test_a_worker_whose_trials_all_fail_says_so_and_is_not_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no network trains here")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(objectives, "train", fail)
    described = Search(storage="sqlite:///study.db", epochs=1, subset=120, device="cpu")
    described.study(described.objective())
    assert worker._work_quietly(described, 1, None) == worker.GAVE_UP
    assert caplog.messages[-1] == "The last 10 trials failed; the worker stops."
    with pytest.raises(TooManyFailuresError, match="last trials of a worker all failed; the"):
        workers._check_restart("s", workers.Deaths(), worker.GAVE_UP)
    with pytest.raises(StudyDeletedError, match="Study 's' was deleted while this search ran"):
        workers._check_restart("s", workers.Deaths(), worker.STUDY_DELETED)


def test_deaths_are_counted_for_one_worker_until_it_has_run_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    deaths, other = workers.Deaths(), workers.Deaths()
    assert [deaths.add() for _ in range(3)] == [1, 2, 3]
    now[0] = workers.SETTLED
    assert deaths.add() == 1
    assert (deaths.add(), other.number) == (2, 0)
