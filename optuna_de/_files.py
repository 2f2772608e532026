"""Files: written in one step, CSV tables, folders."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
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


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step: a reader sees the old file or the new one."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
