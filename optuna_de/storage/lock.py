"""A lock that any Optuna storage can hold: a study whose name can be created once.

Optuna's attributes cannot: of two processes that read, then write, both win. Creating a study of
a given name is atomic on every storage.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator

from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from optuna_de.storage.stale_trials import Watch

STALE = 30.0
"""Seconds for which one process may hold a lock; it then counts as dead."""
PREFIX = "optuna_de:lock:"
"""How the names of lock studies begin."""
_HOLDER = "optuna_de:holder"
_BEAT = "optuna_de:beat"
_OPTUNA_LOGGERS = (
    *("optuna.storages._rdb.storage", "optuna.storages.journal._storage"),
    "optuna.storages._in_memory",
)


def _is_no_lock(record: logging.LogRecord) -> bool:
    return PREFIX not in record.getMessage()


for _name in _OPTUNA_LOGGERS:  # which announce each study; a lock is none that a user began
    logging.getLogger(_name).addFilter(_is_no_lock)


@contextlib.contextmanager
def locked(
    storage: BaseStorage, name: str, *, renewed: bool = False
) -> Iterator[Callable[[], bool]]:
    """Hold the lock of a name, alone among all processes that share the storage.

    Keep the block short, or renew: whoever holds a lock for `STALE` seconds, on a busy machine
    too, loses it. Ask before the block writes.

    Args:
        storage: The storage that the processes share.
        name: Any text; equal names exclude each other.
        renewed: Whether a thread shows that the holder lives, for a block that may take longer.

    Yields:
        A function that tells whether the lock is still held.
    """
    study = f"{PREFIX}{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    held, watch = _take(storage, study), Watch()
    while held is None:
        time.sleep(random.uniform(0.02, 0.1))
        _break(storage, study, watch)
        held = _take(storage, study)
    holder = secrets.token_hex(8)
    storage.set_study_user_attr(held, _HOLDER, holder)
    try:
        with _renewing(storage, held, holder) if renewed else contextlib.nullcontext():
            yield lambda: _is_held(storage, held, holder)
    finally:
        if _is_held(storage, held, holder):
            _release(storage, held)


@contextlib.contextmanager
def _renewing(storage: BaseStorage, held: int, holder: str) -> Iterator[None]:
    """Write a beat four times in the seconds after which a lock is stale."""
    done = threading.Event()

    def beat() -> None:
        count = 0
        while not done.wait(STALE / 4):
            with contextlib.suppress(Exception):  # the storage may answer at the next beat
                if not _is_held(storage, held, holder):
                    return
                count += 1
                storage.set_study_user_attr(held, _BEAT, count)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _is_held(storage: BaseStorage, held: int, holder: str) -> bool:
    """Return whether the lock is this holder's; SQLite gives the id of a deleted study again."""
    try:
        return bool(storage.get_study_user_attrs(held).get(_HOLDER) == holder)
    except KeyError:
        return False


def _take(storage: BaseStorage, study: str) -> int | None:
    try:
        return storage.create_new_study([StudyDirection.MINIMIZE], study)
    except DuplicatedStudyError:
        return None


def _break(storage: BaseStorage, study: str, watch: Watch) -> None:
    """Delete a lock whose holder shows no life for `STALE` seconds, by id: never a newer one."""
    with contextlib.suppress(KeyError):
        held = storage.get_study_id_from_name(study)
        beat = storage.get_study_user_attrs(held).get(_BEAT)
        for stale in watch.overdue({held: beat}, STALE):
            _release(storage, stale)


def _release(storage: BaseStorage, held: int) -> None:
    with contextlib.suppress(KeyError):  # broken meanwhile
        storage.delete_study(held)


def is_lock(study_name: str) -> bool:
    """Return whether a study of this name is a lock."""
    return study_name.startswith(PREFIX)
