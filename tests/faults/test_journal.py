"""Faults of journal files: full disks, torn and damaged lines, while workers live (row F38)."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from optuna_de.storage import StorageError, backoff, journal_file
from optuna_de.storage.open_storage import open_storage
from optuna_de.worker.optimize import optimize
from tests import servers
from tests.drills import DRILL, POSIX
from tests.faults import storage_worker
from tests.faults.storage_worker import (
    PATIENCE,
    assert_each_root_complete_once,
    spawn,
    study_of,
)

pytestmark = [
    POSIX,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
HALF = b'{"op_code":9,"worker_id":"w-1","trial_id":0,"system_at'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "j.log"


@pytest.fixture
def study(file: Path) -> optuna.Study:
    """A study of two complete trials."""
    study = study_of(f"journal://{file}")
    study.optimize(square, n_trials=2)
    return study


def square(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", 0, 1) ** 2


def is_plain(file: Path) -> int:
    """Return the number of complete trials that Optuna alone reads."""
    storage = JournalStorage(JournalFileBackend(str(file)))
    trials = optuna.load_study(study_name="s", storage=storage).trials
    return sum(t.state == TrialState.COMPLETE for t in trials)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Take the last byte of a disk."""
    with (disk / "filler").open("ab", buffering=0) as stream:
        for size in (65536, 4096, 256, 16, 1):
            try:
                while stream.write(b"x" * size) == size:
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017


@pytest.mark.parametrize("seconds", [1.5, pytest.param(4.0, marks=DRILL)])
def test_f38_workers_outlive_a_full_disk(small_disk: Path, seconds: float) -> None:
    url = f"journal://{small_disk}/j.log"
    study = study_of(url)
    workers = [spawn(storage_worker.work, url, 18, 0.3, beat=4) for _ in range(3)]
    servers.wait_for(lambda: len(study.trials) >= 4, PATIENCE, "no trials")
    for _ in range(2):
        fill(small_disk)
        time.sleep(seconds)
        (small_disk / "filler").unlink()
        time.sleep(1)
    for worker in workers:
        worker.join(PATIENCE)
    assert [w.exitcode for w in workers] == [0, 0, 0]
    assert_each_root_complete_once(study_of(url), 18)
    assert is_plain(small_disk / "j.log") == 18


def test_f38_a_write_that_ends_half_way_leaves_nothing_and_is_repeated(
    file: Path, study: optuna.Study, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    failures = iter([3, 40, 0, None])
    sizes: list[int] = []
    real = journal_file._open

    class Full:
        """A file on a disk that takes a few bytes more."""

        def __init__(self, stream: Any, room: int) -> None:
            self._stream, self._room = stream, room

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

        def __enter__(self) -> Any:
            self._stream.__enter__()
            return self

        def __exit__(self, *args: Any) -> None:
            self._stream.__exit__(*args)
            sizes.append(file.stat().st_size)

        def write(self, content: Any) -> int:
            if not self._room:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = self._stream.write(content[: self._room])
            self._room -= written
            return int(written)

    def opens(path: Path, mode: str) -> Any:
        stream = real(path, mode)
        room = next(failures, None) if mode == "a+b" else None
        return stream if room is None else Full(stream, room)

    before = file.stat().st_size
    monkeypatch.setattr(journal_file, "_open", opens)
    study.set_user_attr("k", "v" * 100)
    assert sizes == [before] * 3
    assert study.user_attrs == {"k": "v" * 100}
    assert caplog.text.count("No space left on device; trying again") == 1
    assert is_plain(file) == 2


@pytest.mark.parametrize("vanishes", [False, True])
def test_f38_a_record_whose_sync_fails_is_there_once(
    vanishes: bool, file: Path, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system says that it is full when a file is synced, and may forget it."""
    real, calls = os.fsync, list[int]()
    before = file.stat().st_size

    def fails_twice(number: int) -> None:
        calls.append(number)
        if len(calls) <= 2:
            if vanishes:
                os.truncate(file, before + 10)
            raise OSError(errno.ENOSPC, "No space left on device")
        real(number)

    monkeypatch.setattr(os, "fsync", fails_twice)
    trial = study.ask()
    monkeypatch.undo()
    assert len(calls) >= 3
    assert [t.number for t in study.trials] == [0, 1, 2]
    assert [t.number for t in study_of(f"journal://{file}").trials] == [0, 1, 2]
    study.tell(trial, 1.0)
    assert is_plain(file) == 3


def test_f38_a_disk_that_stays_full_is_one_error_of_the_storage(
    file: Path, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(backoff, "PATIENCE", 0.3)
    monkeypatch.setattr(journal_file, "_write_whole", full)
    with pytest.raises(
        StorageInternalError, match=r"cannot be written: No space left on device\."
    ):
        optimize(study, square, total=3)
    monkeypatch.undo()
    assert optimize(study, square, total=3).finished == 1


def test_f38_a_journal_that_is_gone_is_not_begun_again(
    file: Path, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "PATIENCE", 0.3)
    file.unlink()
    with pytest.raises(StorageInternalError, match="cannot be written: No such file"):
        study.set_user_attr("k", 1)
    assert not file.exists()


def test_f38_a_journal_that_was_cut_under_a_worker_is_named(
    file: Path, study: optuna.Study
) -> None:
    os.truncate(file, 50)
    with pytest.raises(StorageInternalError, match="replaced or cut while it was in use"):
        study.set_user_attr("k", 1)


def test_f38_a_torn_line_of_another_program_is_cut_while_workers_live(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"journal://{file}"
    study = study_of(url)
    workers = [spawn(storage_worker.work, url, 12, 0.3, beat=4) for _ in range(2)]
    for count in (2, 5, 8):
        while len(study.trials) < count:
            time.sleep(0.05)
        with study._storage._backend.locked(), file.open("ab") as stream:  # type: ignore[attr-defined]
            stream.write(HALF)
    for worker in workers:
        worker.join(PATIENCE)
    assert [w.exitcode for w in workers] == [0, 0]
    assert_each_root_complete_once(study_of(url), 12)
    assert is_plain(file) == 12


def test_f38_a_worker_killed_in_its_write_blocks_nobody(file: Path, study: optuna.Study) -> None:
    with file.open("ab") as stream:
        stream.write(HALF)
    assert optimize(study, square, total=3).finished == 1  # this worker has the file open
    with file.open("ab") as stream:
        stream.write(HALF)
    assert optimize(study_of(f"journal://{file}"), square, total=4).finished == 1  # this one not
    assert is_plain(file) == 4


def glue(file: Path) -> None:
    """Let a program of Optuna's append behind half a record."""
    plain = JournalStorage(JournalFileBackend(str(file)))
    with file.open("ab") as stream:
        stream.write(HALF)
    plain._backend.append_logs(
        [{"op_code": 2, "worker_id": "p", "study_id": 0, "user_attr": {"k": {"op_code": 1}}}]
    )


@pytest.mark.parametrize("opens", [False, True])
def test_f38_a_record_behind_a_torn_one_counts(
    opens: bool, file: Path, study: optuna.Study, caplog: pytest.LogCaptureFixture
) -> None:
    glue(file)
    size = file.stat().st_size
    storage = open_storage(f"journal://{file}")
    reader = optuna.load_study(study_name="s", storage=storage) if opens else study
    assert reader.user_attrs == {"k": {"op_code": 1}}
    assert "Half a record was blanked" in caplog.text
    assert "an attribute of trial id 0" in caplog.text
    assert file.stat().st_size == size  # nothing moves under other readers
    reader.optimize(square, n_trials=1)
    study.optimize(square, n_trials=1)
    assert is_plain(file) == 4


def damage(file: Path, line: int, text: bytes = b"\0garbage\r") -> bytes:
    """Overwrite a line; return what stood there."""
    lines = file.read_bytes().splitlines(keepends=True)
    lost, lines[line] = lines[line], text + b"\n"
    file.write_bytes(b"".join(lines))
    return lost


def line_of(file: Path, op_code: int, nth: int = 0) -> int:
    head = b'{"op_code":%d,' % op_code
    lines = file.read_bytes().splitlines()
    return [i for i, line in enumerate(lines) if line.startswith(head)][nth]


def test_f38_a_damaged_line_is_named_and_cut_when_told(
    file: Path, study: optuna.Study, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"journal://{file}"
    worker = study_of(url)
    study.ask().set_user_attr("a", 1)
    number = line_of(file, 8)
    lost = file.read_bytes().splitlines()[number][:-20]
    damage(file, number, lost)
    with pytest.raises(StorageError) as error:
        open_storage(url)
    sentence = str(error.value)
    assert f"line {number + 1} is damaged (an attribute of trial id 2)" in sentence
    call = sentence.partition("call ")[2].removesuffix(" once.")
    assert call == f"optuna_de.open_storage({url!r}, repair=True)"
    with pytest.raises(StorageInternalError, match="is damaged"):
        optimize(worker, square, total=4)
    eval(call, {"optuna_de": __import__("optuna_de")})
    assert f"Line {number + 1} was cut" in caplog.text
    assert Path(f"{file}.damaged").read_bytes() == lost + b"\n"
    again = study_of(url)
    assert [t.state.name for t in again.trials] == ["COMPLETE", "COMPLETE", "RUNNING"]
    again.tell(2, 1.0)
    assert is_plain(file) == 3


@pytest.mark.parametrize(
    "text", [b"", b"\0" * 30, b'{"op_code":4,"worker_id":"w","study_id":0,"da']
)
def test_f38_a_lost_creation_of_a_trial_shifts_no_other(
    text: bytes, file: Path, study: optuna.Study
) -> None:
    study.optimize(square, n_trials=2)
    whole = [(t.number, t.params, t.values, t.state) for t in study.trials]
    damage(file, line_of(file, 4, 1), text)
    again = study_of_repaired(file)
    assert [(t.number, t.params, t.values, t.state) for t in again.trials] == whole


def study_of_repaired(file: Path) -> optuna.Study:
    return study_of(f"journal://{file}", repair=True)


def test_f38_the_creation_of_a_study_cannot_be_cut(file: Path, study: optuna.Study) -> None:
    damage(file, 0)
    before = file.read_bytes()
    with pytest.raises(StorageError, match="line 1 is damaged and created a study"):
        study_of_repaired(file)
    assert file.read_bytes() == before


def test_f38_a_lost_creation_in_a_journal_of_two_studies(file: Path, study: optuna.Study) -> None:
    study_of(f"journal://{file}", "other").optimize(square, n_trials=1)
    study.optimize(square, n_trials=1)
    damage(file, line_of(file, 4, 1))
    with pytest.raises(StorageError, match="a trial of an unknown study"):
        study_of_repaired(file)


def test_f38_repair_leaves_other_files_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("first\nsecond\n")
    with pytest.raises(StorageError):
        open_storage(f"journal://{notes}")
    with pytest.raises(StorageError, match="it is no journal"):
        open_storage(f"journal://{notes}", repair=True)
    assert notes.read_text() == "first\nsecond\n"
    with pytest.raises(StorageError, match="repair is for journals"):
        open_storage(f"sqlite:///{tmp_path}/a.db", repair=True)


@pytest.mark.parametrize(
    "line",
    [
        '{"op_code":99,"worker_id":"w"}',
        '{"op_code":4}',
        '{"op_code":"x"}',
        '{"op_code":5,"worker_id":"w","trial_id":2}',
        '{"op_code":0,"worker_id":"w","study_name":1,"directions":3}',
        "[1]",
        "null",
    ],
)
def test_f38_records_without_sense_are_one_sentence(
    line: str, file: Path, study: optuna.Study
) -> None:
    trial = study.ask()
    assert trial.number == 2
    with file.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
    with pytest.raises(StorageError, match="cannot be read") as error:
        open_storage(f"journal://{file}")
    assert "\n" not in str(error.value)


def test_f38_a_whole_journal_is_read_without_writing(file: Path, study: optuna.Study) -> None:
    folder = file.parent
    file.chmod(0o444)
    folder.chmod(0o555)
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    storage = open_storage(f"journal://{file}")
    assert len(optuna.load_study(study_name="s", storage=storage).trials) == 2
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before
    folder.chmod(0o755)


def test_f38_a_holder_that_was_paused_for_longer_than_the_grace_breaks_nothing(
    file: Path, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock was taken and given back by another, and its write comes late."""
    monkeypatch.setattr(journal_file, "LOCK_GRACE", 3)
    backend: Any = study._storage._backend  # type: ignore[attr-defined]
    with backend.locked():
        Path(f"{file}.lock").unlink()  # as the other one does at the end
        study_of(f"journal://{file}").optimize(square, n_trials=1)
    study.optimize(square, n_trials=1)
    assert is_plain(file) == 4
