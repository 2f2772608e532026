"""Journal storages: Optuna's, on a file that survives full disks and killed writers."""

from __future__ import annotations

import re
from pathlib import Path

from optuna.storages import BaseStorage, JournalStorage

from optuna_de.storage.backoff import reason
from optuna_de.storage.journal_file import DamagedJournalError, ResilientJournalBackend
from optuna_de.storage.journal_repair import cut_damaged_line
from optuna_de.storage.stale_trials import quietly_experimental
from optuna_de.storage.url import StorageError, check_file, parse, redact

_DRIVE = re.compile("/[A-Za-z]:[/\\\\]")
"""The beginning of a file on a drive of Windows, as in ``journal:///C:/file.log``."""


def file_of(url: str) -> Path:
    """Return the path of a journal's URL.

    Raises:
        StorageError: If the URL has a user or options.
    """
    if parse(url).query:
        raise StorageError(f"The storage URL {redact(url)!r} has options, but a journal has none.")
    path = url.removeprefix("journal://")
    return Path(path[1:] if _DRIVE.match(path) else path)


def open_journal(url: str, *, repair: bool = False) -> BaseStorage:
    """Open ``journal:///file.log``, or make it.

    Args:
        url: The storage URL.
        repair: Cut the first damaged line.

    Raises:
        StorageError: If the folder is missing, the file is no journal, or a line is damaged.
    """
    # An absolute path: the lock looks at files relative to the link, not to this process.
    file = check_file(url, file_of(url))
    try:
        if repair and file.exists():
            cut_damaged_line(file)
        with quietly_experimental():
            return JournalStorage(ResilientJournalBackend(file))
    except DamagedJournalError as error:
        raise StorageError(str(error)) from None
    except OSError as error:
        raise StorageError(
            f"The journal {str(file)!r} cannot be opened: {reason(error)}."
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise StorageError(f"The journal {str(file)!r} cannot be read: {error}.") from None
