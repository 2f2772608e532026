"""Files: written in one step, CSV tables, folders."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def csv_text(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Return a table as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def make_folder(folder: Path) -> None:
    """Make a folder where it is missing.

    Raises:
        ValueError: Where that is impossible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"The folder {folder} cannot be made: {error.strerror}.") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a file to write; it takes the place of ``path`` in one step, or goes on an error.

    A reader sees the old file or the new one.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step, see :func:`replacing`.

    Lone surrogates, which UTF-8 cannot hold, become question marks.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors="replace")
