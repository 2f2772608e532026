"""Files: text, bytes and CSV tables written in one step; folders; warnings for lost side files."""

from __future__ import annotations

import csv
import functools
import glob
import io
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

_LONGEST = 100  # characters of a name that its drafts repeat; file systems allow 255 bytes
_REFUSALS, _PAUSE = (60 if os.name == "nt" else 0), 0.05  # times that are borne; seconds
_logger = logging.getLogger(__name__)


def csv_text(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Return a CSV table as text for files."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def make_folder(folder: Path) -> None:
    """Make a folder for files.

    Raises:
        ValueError: If that is impossible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"The folder {folder} cannot be made: {error.strerror}.") from error


def check_folder(folder: Path, need: int) -> None:
    """Check that a folder can take files: writable, and room on its disk.

    Args:
        folder: Exists.
        need: Bytes.

    Raises:
        ValueError: If it cannot, or has not.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ValueError(f"The folder {folder} cannot be written to: {error.strerror}.") from error
    if free < need:
        raise ValueError(
            f"The disk of {folder} must have {need / 1e6:,.0f} MB free, but has "
            f"{free / 1e6:,.0f} MB."
        )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a draft beside a file, which replaces it in one step at the end.

    A reader sees the old file or the new one. After an error the old one stays.
    """
    # Machines that share a folder may share process ids.
    draft = path.with_name(f"{_draft_prefix(path)}{uuid4().hex}.part")
    try:
        yield draft
        replace_file(draft, path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def replace_file(draft: Path, path: Path) -> None:
    """Put a draft in a file's place in one step; Windows refuses while a reader has the file open.

    Raises:
        OSError: If that is impossible, on Windows after three seconds.
    """
    for _ in range(_REFUSALS):
        try:
            os.replace(draft, path)
        except PermissionError:
            time.sleep(_PAUSE)
        else:
            return
    os.replace(draft, path)


def _draft_prefix(path: Path) -> str:
    return f".{path.name[:_LONGEST]}."


def write_bytes(path: Path, *parts: bytes | memoryview) -> None:
    """Write bytes to a file in one step, on the disk before it has its name."""
    with replacing(path) as draft, draft.open("xb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def write_text(path: Path, text: str, errors: str = "strict") -> None:
    """Write text to a file in one step; ``errors`` as in :meth:`str.encode`."""
    write_bytes(path, text.encode("utf-8", errors))


def write_side_text(path: Path, text: str) -> None:
    """Write a text file whose loss costs one warning only."""
    try:
        write_text(path, text, errors="replace")
    except OSError as error:
        warn_once(f"The file {path} cannot be written: {reason(error)}.")


def remove(path: Path) -> None:
    """Remove a file, if it is there, and the drafts that killed writers left beside it.

    Raises:
        OSError: If one cannot be removed.
    """
    for draft in path.parent.glob(f"{glob.escape(_draft_prefix(path))}*.part"):
        draft.unlink(missing_ok=True)
    with suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()


def reason(error: OSError) -> str:
    """Return what the system says of an error, without the path."""
    return error.strerror or str(error)


@functools.cache
def warn_once(sentence: str) -> None:
    """Log a warning once in the life of a process, for side files."""
    _logger.warning("%s", sentence)
