"""Storages that survive faults: where trials live."""

from optuna_de.storage.lock import is_lock, locked
from optuna_de.storage.open_storage import existing, open_storage, open_study
from optuna_de.storage.stale_trials import BEAT, Reaper, Requeue, is_duplicate, requeue_stale
from optuna_de.storage.url import StorageError, redact

__all__ = [
    "BEAT",
    "Reaper",
    "Requeue",
    "StorageError",
    "existing",
    "is_duplicate",
    "is_lock",
    "locked",
    "open_storage",
    "open_study",
    "redact",
    "requeue_stale",
]
