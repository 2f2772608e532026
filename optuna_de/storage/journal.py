"""Opening a journal file, and what a dead writer may have left in it."""

from __future__ import annotations

from pathlib import Path

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from optuna_de.storage.stale_trials import quietly_experimental
from optuna_de.storage.url import StorageError, folder_of

LOCK_GRACE = 15
"""Seconds after which the journal's lock is taken from a holder that died."""


def open_journal(url: str) -> BaseStorage:
    """Open `journal:///file.log`; a torn last line is cut off.

    Raises:
        StorageError: the folder is missing, or the file is no journal.
    """
    # An absolute path: the lock looks at files relative to the link, not to this process.
    file = folder_of(Path(url.removeprefix("journal://")))
    lock = JournalFileOpenLock(str(file), grace_period=LOCK_GRACE)
    try:
        if file.exists():
            _cut_torn_tail(file, lock)
        with quietly_experimental():
            return JournalStorage(JournalFileBackend(str(file), lock_obj=lock))
    except (ValueError, KeyError, OSError) as error:
        raise StorageError(f"The journal {str(file)!r} cannot be read: {error}.") from None


def _cut_torn_tail(file: Path, lock: JournalFileOpenLock) -> None:
    """Cut what a dead writer left after the last whole line: it blocks all further writes."""
    lock.acquire()
    try:
        with file.open("r+b") as stream:
            end = stream.seek(0, 2)
            while end > 0 and stream.seek(end - 1) >= 0 and stream.read(1) != b"\n":
                end -= 1
            stream.truncate(end)
    finally:
        lock.release()
