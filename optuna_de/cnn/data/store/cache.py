"""Cache of what was read: entries in one folder of limited size."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_de._files import reason, replacing, write_text

Arrays = Mapping[str, NDArray[Any]]
CACHE_VARIABLE = "OPTUNA_DE_CACHE"  # environment variable with the folder
_LIMIT = 20 * 10**9  # bytes of all entries together
_ENTRY = re.compile(r"[0-9a-f]{32}\.(npz|npy|jsonl|txt|lock)")
_logger = logging.getLogger(__name__)


_chosen: ContextVar[Path | None] = ContextVar("cache folder", default=None)


@contextmanager
def cache_in(folder: Path | None) -> Iterator[None]:
    """Use a cache in another folder within the block; None leaves it."""
    token = _chosen.set(folder or _chosen.get())
    try:
        yield
    finally:
        _chosen.reset(token)


def cache_folder() -> Path:
    """Return the folder of the cache: the chosen one, else ``$OPTUNA_DE_CACHE``, or the user's."""
    if (chosen := _chosen.get()) is not None:
        return chosen
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).expanduser()
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "optuna_de" / "images"


def clear_cache() -> int:
    """Clear the cache: delete all entries; return the bytes freed."""
    return sum(_delete(path) for files in _entries(cache_folder()).values() for path in files)


def entry_name(content: object) -> tuple[Path, str]:
    """Return the name of a cache entry, without a suffix, and its whole key.

    Args:
        content: All that the entry depends on, as JSON has it.
    """
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return cache_folder() / key[:32], key


def cached(
    content: object, right: Callable[[Arrays], bool], make: Callable[[], Arrays]
) -> tuple[Arrays, Path]:
    """Return arrays cached in an entry, else make and store them.

    Args:
        content: All that the arrays depend on, as JSON has it.
        right: Whether arrays from the cache have the right types and shapes.
        make: Makes them.

    Returns:
        The arrays, and the path of their entry, whether or not it could be written.
    """
    name, key = entry_name(content)
    path = name.with_suffix(".npz")
    arrays = read_entry(path, key, right)
    if arrays is None:
        arrays = make()
        write_entry(path, key, arrays)
    return arrays, path


def read_entry(path: Path, key: str, right: Callable[[Arrays], bool]) -> Arrays | None:
    """Read the arrays of a cache entry, or None where there is none for that key."""
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
    """Write a cache entry in one step, and prune the cache."""
    try:
        make_cache_folder()
        with replacing(path) as draft, draft.open("xb") as file:
            np.savez(file, allow_pickle=False, key=np.array(key), **arrays)
        prune_cache(path)
    except OSError as error:
        _logger.warning("No cache is kept, so every start reads all images: %s.", error)


def make_cache_folder() -> None:
    """Make the folder of the cache, for this user alone.

    Raises:
        OSError: If that is impossible.
    """
    cache_folder().mkdir(mode=0o700, parents=True, exist_ok=True)


def prune_cache(kept: Path) -> None:
    """Prune the cache: delete the least recently used entries beyond its limited size."""
    entries = _entries(kept.parent)
    used = entries.pop(kept.stem, [])
    room, freed = _LIMIT - sum(map(_size, used)), 0
    for files in sorted(entries.values(), key=lambda e: max(map(_time, e)), reverse=True):
        room -= sum(map(_size, files))
        if room < 0:
            freed += sum(map(_delete, files))
    if freed:
        _logger.warning(
            "The cache %s was over %.0f GB; what was used longest ago is deleted (%.1f GB).",
            kept.parent,
            _LIMIT / 1e9,
            freed / 1e9,
        )


def _entries(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each entry; an entry's files share their stem."""
    files_by_stem: dict[str, list[Path]] = {}
    for path in folder.glob("*") if folder.is_dir() else ():
        if _ENTRY.fullmatch(path.name) and not path.is_dir():
            files_by_stem.setdefault(path.stem, []).append(path)
    return files_by_stem


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _time(path: Path) -> int:
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return 0


def _delete(path: Path) -> int:
    size = _size(path)
    try:
        path.unlink()
    except OSError:
        return 0
    return size


def write_log(entry: Path, lines: list[str]) -> str:
    """Write a log beside a cache entry; return in words where it is."""
    path = entry.with_suffix(".txt")
    try:
        make_cache_folder()
        write_text(path, "".join(f"{line}\n" for line in lines), errors="replace")
    except OSError as error:
        return f"not named, as {path} cannot be written: {reason(error)}"
    return f"named in {path}"
