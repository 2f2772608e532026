"""Faults of Windows, played on any system: open files, drives, Ctrl-C of a console."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from optuna_de import _files
from optuna_de._text import shell_line
from optuna_de.cnn.export import latency
from optuna_de.cnn.search import worker_pool
from optuna_de.storage.journal import file_of


@pytest.mark.parametrize(("refusals", "content"), [(2, "new"), (3, "old")])
def test_a_file_that_a_reader_has_open_is_replaced_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int, content: str
) -> None:
    """Windows refuses to replace an open file; readers have ours open for moments only."""
    path, replace, calls = tmp_path / "file", os.replace, list[Path]()
    path.write_text("old", encoding="utf-8")

    def refusing(draft: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) <= refusals:
            raise PermissionError(13, "The process cannot access the file")
        replace(draft, target)

    monkeypatch.setattr(os, "replace", refusing)
    monkeypatch.setattr(_files, "_REFUSALS", 2)
    monkeypatch.setattr(_files, "_PAUSE", 0)
    if content == "new":
        _files.write_text(path, "new")
    else:
        with pytest.raises(PermissionError):
            _files.write_text(path, "new")
    assert path.read_text(encoding="utf-8") == content
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("journal:///C:/studies/a.log", "C:/studies/a.log"),
        ("journal:///home/a.log", "/home/a.log"),
        ("journal:///C:a.log", "/C:a.log"),
        ("journal://a.log", "a.log"),
    ],
)
def test_a_journal_may_lie_on_a_drive(url: str, file: str) -> None:
    assert PurePosixPath(file_of(url)) == PurePosixPath(file)


@pytest.mark.parametrize(("has_groups", "passed"), [(True, 1), (False, 0)])
def test_ctrl_c_of_a_console_is_not_passed_on(
    monkeypatch: pytest.MonkeyPatch, has_groups: bool, passed: int
) -> None:
    """Without process groups the workers get it themselves; os.kill would end them at once."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    if has_groups:
        monkeypatch.setattr(os, "setpgrp", lambda: None, raising=False)
    else:
        monkeypatch.delattr(os, "setpgrp", raising=False)
    process: Any = SimpleNamespace(is_alive=lambda: True, pid=7)
    worker_pool._pass_on(signal.SIGINT, [process])
    worker_pool._pass_on(signal.SIGTERM, [process])
    assert sent == [(7, signal.SIGINT)] * passed + [(7, signal.SIGTERM)]


def test_a_path_with_a_blank_is_one_word_of_each_shell() -> None:
    words = ["bench", "C:\\my models\\a.onnx"]
    assert shell_line(words, windows=True) == 'bench "C:\\my models\\a.onnx"'
    assert shell_line(["a.onnx"], windows=True) == "a.onnx"
    assert shlex.split(shell_line(words, windows=False)) == words


def test_a_device_command_ends_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no groups of processes; a child that lives on would hold the output open."""
    calls: list[list[str]] = []
    monkeypatch.delattr(os, "killpg")
    monkeypatch.setattr(subprocess, "run", lambda line, **_: calls.append(line))
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], text=True)
    latency._end(process)
    assert calls == [["taskkill", "/T", "/F", "/PID", str(process.pid)]]
    assert process.returncode != 0
