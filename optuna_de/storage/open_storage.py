"""open_storage(url): an Optuna storage tuned for many workers on machines that die.

Depends on the table of schemes only; knows no sampler, objective or network.
"""

from __future__ import annotations

import optuna
from optuna.storages import BaseStorage

from optuna_de.storage.lock import is_lock
from optuna_de.storage.schemes import Options, get_scheme
from optuna_de.storage.stale_trials import MAX_RETRY
from optuna_de.storage.url import StorageError, redact, scheme_of

HEARTBEAT_INTERVAL = 30
"""Seconds between two heartbeats of a running trial."""


def open_storage(
    url: str,
    *,
    heartbeat_interval: int | None = HEARTBEAT_INTERVAL,
    grace_period: int | None = None,
    max_retry: int = MAX_RETRY,
    pool_size: int = 1,
    repair: bool = False,
) -> BaseStorage:
    """Open a storage that many workers can share.

    Args:
        url: ``sqlite:///file.db``, ``postgresql://user:password@host/database``, ``mysql://...``
            or ``mariadb://...``, ``journal:///file.log``, ``grpc://host:port``. Memory is refused:
            no second worker could see it.
        heartbeat_interval: Seconds between heartbeats (databases only), ``None`` for none.
        grace_period: Seconds of silence after which a trial is dead; four heartbeats by default.
        max_retry: How often a dead trial is queued again, at least 0.
        pool_size: Connections kept open per process; more are opened and closed on demand. Use
            about one per thread in a gRPC proxy server.
        repair: Cut the first damaged line of a journal before opening it. The line is named in a
            warning and kept in the file ``<journal>.damaged``.

    Raises:
        StorageError: At once for a bad URL, a missing folder or driver, an unknown host, a wrong
            password, a damaged journal; after 30 seconds for a server that is down.

    Example:
        >>> storage = open_storage("sqlite:///study.db")
        >>> study = optuna.create_study(storage=storage, sampler=DESampler())
    """
    scheme = get_scheme(url)
    options = Options(heartbeat_interval, grace_period, max_retry, pool_size, repair)
    if repair and "journal" not in scheme.names:
        raise StorageError(f"repair is for journals, but {redact(url)!r} is none.")
    try:
        return scheme.open(url, options)
    except ImportError:
        raise StorageError(
            f"A {scheme_of(url)}:// storage needs {scheme.needs}, which is not installed."
        ) from None


def open_study(study_name: str | None, storage: str) -> optuna.Study:
    """Return the study of that name, or the only one, of a storage that exists.

    Raises:
        ValueError: If there is none, or a choice is needed.
    """
    opened = existing(storage)
    names = sorted(n for n in optuna.get_all_study_names(opened) if not is_lock(n))
    where = redact(storage)
    if not names:
        raise ValueError(f"{where} has no study yet.")
    if study_name is None and len(names) > 1:
        raise ValueError(f"{where} has {len(names)} studies, {names}; choose a --study-name.")
    chosen = names[0] if study_name is None else study_name
    if chosen not in names:
        raise ValueError(f"{where} has no study {chosen!r}; it has {names}.")
    return optuna.load_study(study_name=chosen, storage=opened)


def existing(storage: str) -> BaseStorage:
    """Open a storage to show it; a file that does not exist is not made.

    Raises:
        ValueError: If the file does not exist, or the storage cannot be opened.
    """
    file = get_scheme(storage).file(storage)
    if file is not None and not file.exists():
        raise ValueError(
            f"There is no file {str(file)!r}. Run optuna-de search first, or give --storage."
        )
    return open_storage(storage)
