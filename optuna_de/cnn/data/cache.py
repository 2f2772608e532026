"""Cache of decoded images: one folder of the user's, of limited size, that can be deleted."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_de._files import reason, replacing, write_text

Arrays = Mapping[str, NDArray[Any]]
CACHE_VARIABLE = "OPTUNA_DE_CACHE"  # environment variable with the folder
_LIMIT = 20 * 10**9  # bytes of all entries together
_logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder of the cache: ``$OPTUNA_DE_CACHE``, else the one for this user."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).expanduser()
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "optuna_de" / "images"


def clear_cache() -> int:
    """Delete all entries and their logs; return the bytes freed."""
    freed = 0
    for path in (*cache_folder().glob("*.npz"), *cache_folder().glob("*.txt")):
        with suppress(OSError):
            size = path.stat().st_size
            path.unlink()
            freed += size
    return freed


def cached(
    content: object, right: Callable[[Arrays], bool], make: Callable[[], Arrays]
) -> tuple[Arrays, Path]:
    """Return arrays from the cache if it still holds them, else make and store them.

    Args:
        content: All that the arrays depend on, as JSON has it.
        right: Whether arrays from the cache have the right types and shapes.
        make: Makes them.

    Returns:
        The arrays, and the path of their entry, whether or not it could be written.
    """
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    path = cache_folder() / f"{key[:32]}.npz"
    arrays = read_entry(path, key, right)
    if arrays is None:
        arrays = make()
        write_entry(path, key, arrays)
    return arrays, path


def read_entry(path: Path, key: str, right: Callable[[Arrays], bool]) -> Arrays | None:
    """Return the arrays of an entry, or None where there is none for that key."""
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("it is compressed")  # by somebody else; it may be a bomb
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            arrays = {name: stored[name] for name in stored.files if name != "key"}
        if not right(arrays):
            raise ValueError("it holds something else")
        with suppress(OSError):
            os.utime(path)  # used now
    except Exception as error:  # NumPy and zipfile raise anything of a damaged file
        why = str(error) or type(error).__name__
        _logger.warning("The cache %s is ignored and the images decoded anew: %s.", path, why)
        return None
    return arrays


def write_entry(path: Path, key: str, arrays: Arrays) -> None:
    """Write an entry in one step, and delete the least recently used ones beyond the limit."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(path) as draft, draft.open("xb") as file:
            np.savez(file, allow_pickle=False, key=np.array(key), **arrays)
        _prune(path)
    except OSError as error:
        _logger.warning("No cache is kept, so every start decodes the images: %s.", error)


def _prune(kept: Path) -> None:
    others = [path for path in kept.parent.glob("*.npz") if path != kept]
    room = _LIMIT - kept.stat().st_size
    for path in sorted(others, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        room -= path.stat().st_size
        if room < 0:
            path.unlink(missing_ok=True)
            path.with_suffix(".txt").unlink(missing_ok=True)


def write_log(entry: Path, lines: list[str]) -> str:
    """Write lines to the text file beside an entry; return in words where they are."""
    path = entry.with_suffix(".txt")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_text(path, "".join(f"{line}\n" for line in lines), errors="replace")
    except OSError as error:
        return f"not named, as {path} cannot be written: {reason(error)}"
    return f"named in {path}"
