"""Repair of a journal: its first damaged line is cut, kept in a file beside it, and named.

Optuna numbers studies and trials by the order of their creation in the journal. So a creation that
is lost would shift all later trials: a new creation takes the place of the line if later records
name a trial that no line creates.
"""

from __future__ import annotations

import json
import logging
import os
import re
from datetime import datetime, timezone
from pathlib import Path

from optuna_de import _compat
from optuna_de._files import replace_file
from optuna_de.storage.journal_file import (
    Record,
    ResilientJournalBackend,
    describe_damaged_record,
    parse,
)

_CREATE_TRIAL = 4
_logger = logging.getLogger(__name__)


def cut_damaged_line(file: Path) -> None:
    """Cut the first damaged line of a journal; a journal without one stays as it is.

    The line is appended to the file ``<journal>.damaged``.

    Raises:
        ValueError: If no line is a record, or the line created a study or an unknown study's
            trial.
        OSError: If a file cannot be written.
    """
    with ResilientJournalBackend(file).locked():
        lines = _lines_of(file)
        place = next((i for i, line in enumerate(lines) if _is_damaged(line)), None)
        if place is None:
            return
        if not any(map(parse, lines)):
            raise ValueError("it is no journal, for no line of it is a record")
        line = lines[place]
        new = _stand_in(line, lines[:place], lines[place + 1 :])
        with Path(f"{file}.damaged").open("ab") as kept:
            kept.write(line)
        _replace(file, b"".join([*lines[:place], new, *lines[place + 1 :]]))
    _logger.warning(
        "Line %d was cut from the journal %r: %s. %sIt is kept in %r.",
        place + 1,
        str(file),
        describe_damaged_record(line),
        "The trial that it created is there again, without its start time. " if new else "",
        f"{file}.damaged",
    )


def _lines_of(file: Path) -> list[bytes]:
    with file.open("rb") as stream:
        return stream.readlines()


def _is_damaged(line: bytes) -> bool:
    return line.endswith(b"\n") and parse(line) is None


def _stand_in(line: bytes, before: list[bytes], after: list[bytes]) -> bytes:
    """Return the line to put in place of a damaged one, empty where nothing depends on it."""
    records = [record for text in before + after if (record := parse(text))]
    studies, trials = _compat.missing_creations(records)
    if studies:
        raise ValueError(f"line {len(before) + 1} is damaged and created a study; restore a copy")
    if not trials:
        return b""
    study = re.search(rb'"study_id":(\d+),', line)
    created = {r["study_id"] for r in records if r["op_code"] == _CREATE_TRIAL}
    if study is None and len(created) != 1:
        raise ValueError(
            f"line {len(before) + 1} is damaged and created a trial of an unknown study; "
            "restore a copy"
        )
    creation: Record = {
        "op_code": _CREATE_TRIAL,
        "worker_id": "",
        "study_id": int(study[1]) if study else created.pop(),
        "datetime_start": datetime.now(tz=timezone.utc).isoformat(timespec="microseconds"),
    }
    return json.dumps(creation, separators=(",", ":")).encode() + b"\n"


def _replace(file: Path, content: bytes) -> None:
    """Write a file in one step, on the disk before it takes the old one's place."""
    part = file.with_name(f".{file.name}.part")
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.chmod(file.stat().st_mode)
    replace_file(part, file)
