"""Journal file: a backend whose records are whole lines, also on a full disk.

A writer that is killed, or a disk that fills up, leaves half a record without its end of line. The
writer was never told that it is stored, so the next append cuts it. Another program may append
behind it; half of that line is then blanked, and the record behind it counts.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages.journal import BaseJournalBackend, JournalFileOpenLock

from optuna_de.storage.backoff import back_off, reason

LOCK_GRACE = 15
"""Seconds after which the journal's lock is taken from a holder that died."""
Record = dict[str, Any]
Result = TypeVar("Result")
_START = b'{"op_code":'  # of every record; within a text, JSON would escape its quotes
_OPERATIONS = {
    0: "the creation of a study",
    1: "the deletion of a study",
    **dict.fromkeys((2, 3), "an attribute of a study"),
    4: "the creation of a trial",
    5: "a parameter",
    6: "a state with its values",
    7: "an intermediate value",
    **dict.fromkeys((8, 9), "an attribute"),
}
_logger = logging.getLogger(__name__)


class DamagedJournalError(StorageInternalError):
    """Journal file with a line that holds no record."""


def describe_damaged_record(line: bytes) -> str:
    """Describe a damaged record of a journal file, as far as it can be read."""
    code = re.match(rb'\s*\{"op_code":(\d+)', line)
    trial = re.search(rb'"trial_id":(\d+),', line)
    words = _OPERATIONS.get(int(code[1]), "an unknown operation") if code else "no known operation"
    return f"{words} of trial id {int(trial[1])}" if trial else words


class ResilientJournalBackend(BaseJournalBackend):
    """Backend of a journal file for workers and disks that fail.

    An append is repeated while the file cannot be written, and leaves nothing of an attempt that
    failed. Readers take no lock: they see whole lines, in the order of their appends.

    Args:
        file: The journal; an empty one is made where it is missing.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = JournalFileOpenLock(str(file), grace_period=LOCK_GRACE)
        self._position = 0, 0  # the number of records read so far, and the bytes they take
        if not file.exists():
            file.open("ab").close()
        self._cut_at_opening()

    def _cut_at_opening(self) -> None:
        """Cut half a record, so that other programs can append; a whole file takes no lock."""
        with self.file.open("rb") as stream:
            torn = _end_of_last_line(stream) < stream.seek(0, os.SEEK_END)
        if torn:
            with self.locked(), _open(self.file, "r+b") as stream:
                self._cut_torn_tail(stream)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the journal's writers."""
        self._lock.acquire()
        try:
            yield
        finally:
            # A holder that was paused for longer than the grace has lost the lock to another.
            with contextlib.suppress(RuntimeError):
                self._lock.release()

    def append_logs(self, logs: list[Record]) -> None:
        """Append records and bring them to the disk.

        Raises:
            StorageInternalError: If the file could not be written for minutes.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        starts: list[int] = []
        self._patiently("written", self._append, lines, starts)

    def _patiently(self, verb: str, call: Callable[..., Result], *args: Any) -> Result:
        """Call, again while the file system refuses it."""
        try:
            return back_off(lambda error: isinstance(error, OSError))(call, *args)
        except OSError as error:
            raise StorageInternalError(
                f"The journal {str(self.file)!r} cannot be {verb}: {reason(error)}."
            ) from error

    def _append(self, lines: bytes, starts: list[int]) -> None:
        """Append once, and note where; a repeat whose lines are all there only syncs them."""
        with self.locked():
            if starts and _resync(self.file, lines, starts[-1]):
                return
            with _open(self.file, "a+b") as stream:
                self._cut_torn_tail(stream)
                starts.append(stream.seek(0, os.SEEK_END))
                _write_whole(stream, lines)
                os.fsync(stream.fileno())

    def _cut_torn_tail(self, stream: IO[bytes]) -> None:
        """Cut what stands behind the last end of line; the caller holds the lock."""
        end = _end_of_last_line(stream)
        stream.seek(end)
        if tail := stream.read():
            stream.truncate(end)
            _logger.warning(
                "Half a record was cut from the end of the journal %r: %s. Its writer was stopped "
                "before it was stored.",
                str(self.file),
                describe_damaged_record(tail),
            )

    def read_logs(self, log_number_from: int) -> Iterator[Record]:
        """Yield the records from a number on, as many as are whole now.

        Raises:
            DamagedJournalError: If a line cannot be read.
            StorageInternalError: If the file has become shorter than what was read of it.
        """
        number, start = self._position if self._position[0] <= log_number_from else (0, 0)
        with self._patiently("read", _open, self.file, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size < start:
                raise StorageInternalError(
                    f"The journal {str(self.file)!r} was replaced or cut while it was in use."
                )
            stream.seek(start)
            for line in stream:
                end = start + len(line)
                if end > size or not line.endswith(b"\n"):  # it is being written
                    return
                record = parse(line) or self._mend(start)
                number, start = self._position = number + 1, end
                if number > log_number_from:
                    yield record

    def _mend(self, start: int) -> Record:
        """Blank the half record before a whole one in the line at a byte; return the whole one."""
        with self.locked(), _open(self.file, "r+b") as stream:
            line = _line_at(stream, start)
            # The first place from which the rest is a record: 0 where another process was first.
            places = (match.start() for match in re.finditer(re.escape(_START), line))
            torn = next((place for place in places if parse(line[place:])), None)
            record = None if torn is None else parse(line[torn:])
            if torn is None or record is None:
                raise DamagedJournalError(self._complaint(stream, start, line))
            if torn:
                _overwrite(stream, b" " * torn, start)
                _logger.warning(
                    "Half a record was blanked in the journal %r: %s. Its writer was stopped "
                    "before it was stored.",
                    str(self.file),
                    describe_damaged_record(line[:torn]),
                )
            return record

    def _complaint(self, stream: IO[bytes], start: int, line: bytes) -> str:
        stream.seek(0)
        number = stream.read(start).count(b"\n") + 1
        return (
            f"The journal {str(self.file)!r} cannot be read: line {number} is damaged "
            f"({describe_damaged_record(line)}). To cut this line, call "
            f"optuna_de.open_storage({'journal://' + str(self.file)!r}, repair=True) once."
        )


def parse(line: bytes) -> Record | None:
    """Return the record of a line of a journal file, ``None`` if it is damaged."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "op_code" in record else None


def _open(file: Path, mode: str) -> IO[bytes]:
    """Open a file that exists; one to write to unbuffered, so that closing writes no leftovers."""
    return open(
        file,
        mode,
        buffering=-1 if mode == "rb" else 0,
        opener=lambda path, flags: os.open(path, flags & ~os.O_CREAT),
    )


def _end_of_last_line(stream: IO[bytes]) -> int:
    """Return the number of bytes up to and with the last end of line."""
    end = stream.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 65536)
        stream.seek(start)
        newline = stream.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _line_at(stream: IO[bytes], start: int) -> bytes:
    stream.seek(start)
    return stream.readline()


def _write_whole(stream: IO[bytes], lines: bytes) -> None:
    """Write all bytes to the end of a file, or leave none."""
    start, rest = stream.seek(0, os.SEEK_END), memoryview(lines)
    try:
        while rest:
            rest = rest[stream.write(rest) :]
    except BaseException:
        stream.seek(start)
        written = stream.read(len(lines))
        # Not what another process wrote here, while this one was paused and lost the lock.
        if len(written) < len(lines) and lines.startswith(written):
            stream.truncate(start)
        raise


def _overwrite(stream: IO[bytes], content: bytes, start: int) -> None:
    """Write bytes in place and bring them to the disk."""
    stream.seek(start)
    stream.write(content)
    os.fsync(stream.fileno())


def _resync(file: Path, lines: bytes, start: int) -> bool:
    """Bring lines to the disk if they stand at a byte; return whether they do.

    The system forgets what it failed to sync, so they are written again.
    """
    with _open(file, "r+b") as stream:
        stream.seek(start)
        if stream.read(len(lines)) != lines:
            return False
        _overwrite(stream, lines, start)
    return True
