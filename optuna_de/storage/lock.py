"""A lock that any Optuna storage can hold: a study whose name can be created once.

Optuna's attributes cannot: of two processes that read, then write, both win. Creating a study of
a given name is atomic on every storage.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Iterator

from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from optuna_de.storage.stale_trials import Watch

STALE = 30.0
"""Seconds for which one process may hold a lock; it then counts as dead."""
PREFIX = "optuna_de:lock:"
"""How the names of lock studies begin."""


@contextlib.contextmanager
def locked(storage: BaseStorage, name: str) -> Iterator[None]:
    """Hold the lock of a name, alone among all processes that share the storage.

    Keep the block short: whoever holds a lock for `STALE` seconds loses it.

    Args:
        storage: The storage that the processes share.
        name: Any text; equal names exclude each other.
    """
    study = f"{PREFIX}{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    held, watch = _take(storage, study), Watch()
    while held is None:
        time.sleep(random.uniform(0.02, 0.1))
        _break(storage, study, watch)
        held = _take(storage, study)
    try:
        yield
    finally:
        _release(storage, held)


def _take(storage: BaseStorage, study: str) -> int | None:
    try:
        return storage.create_new_study([StudyDirection.MINIMIZE], study)
    except DuplicatedStudyError:
        return None


def _break(storage: BaseStorage, study: str, watch: Watch) -> None:
    """Delete a lock that has not changed hands for `STALE` seconds, by id: never a newer one."""
    with contextlib.suppress(KeyError):
        for held in watch.overdue({storage.get_study_id_from_name(study): "held"}, STALE):
            _release(storage, held)


def _release(storage: BaseStorage, held: int) -> None:
    with contextlib.suppress(KeyError):  # broken meanwhile
        storage.delete_study(held)


def is_lock(study_name: str) -> bool:
    """Return whether a study of this name is a lock."""
    return study_name.startswith(PREFIX)
