"""The command line in processes of its own, for the tests of searches."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna

from optuna_de.storage.open_storage import open_storage

COMMAND = [sys.executable, "-m", "optuna_de", "search"]
PATIENCE = 240.0
"""Seconds for which a test waits for a process; an idle machine needs a few."""
URL = "sqlite:///study.db"
FAST = ["--storage", URL, "--device", "cpu", "--epochs", "1", "--workers", "1"]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start a search in a folder."""
    return subprocess.Popen(
        [*COMMAND, *options],
        cwd=folder,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return exit code, output and errors of a search; they hold no warning, no traceback."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert not re.search("Traceback|Warning", out + err), out + err
    return process.returncode, out, err


def search(folder: Path, *options: str) -> tuple[int, str, str]:
    """Run a search to its end."""
    return end(start(folder, *options))


def study_in(folder: Path, name: str = "digits-modern") -> optuna.Study:
    """Open the study that a search left."""
    return optuna.load_study(study_name=name, storage=open_storage(f"sqlite:///{folder}/study.db"))


def interrupt(
    process: subprocess.Popen[str], number: signal.Signals, when: Callable[[], bool]
) -> None:
    """Send a signal as soon as a condition holds."""
    limit = time.monotonic() + PATIENCE
    while not when():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, "it took too long"
        time.sleep(0.02)
    process.send_signal(number)
