"""Image store: decoded images in one file of the cache, written shard by shard.

An entry is ``.npy``, all images as uint8 (n, h, w, c), and ``.jsonl``: a line for the whole and
one for each finished shard. A process that is killed leaves whole shards, and the next one goes
on behind them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from optuna_de.cnn.data.reading.images import DataError
from optuna_de.cnn.data.reading.resizing import size_text
from optuna_de.cnn.data.store.cache import entry_name, make_cache_folder, prune_cache
from optuna_de.cnn.data.store.row_file import RowFile

_SHARD_BYTES = 2**25
_SHARD_ROWS = 1024
_HEADER = 128  # bytes of the .npy's head
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shard:
    """What is known of one shard of a store.

    Args:
        bad: Why images cannot be read, by index.
        flat: Indices of images that have one colour only.
    """

    bad: dict[int, str]
    flat: tuple[int, ...]


Fill = Callable[[NDArray[np.uint8], int], Shard]
"""Decodes into rows (b, h, w, c) the images from an index on."""


@dataclass(frozen=True, eq=False, slots=True)
class ImageStore:
    """Decoded images, in a file or, where no cache can be written, in memory.

    Args:
        images: uint8 (n, h, w, c), read only; the rows of unreadable images are black.
        shards: What is known of each shard, in order.
        entry: The path of the entry in the cache.
        file: Reads rows by index; None in memory.
        digest: Of the content, whose check sums were compared; empty in memory.
    """

    images: NDArray[np.uint8]
    shards: tuple[Shard, ...]
    entry: Path
    file: RowFile | None = None
    digest: str = ""

    @property
    def bad(self) -> dict[int, str]:
        """Why images cannot be read, by index."""
        return {i: why for shard in self.shards for i, why in shard.bad.items()}

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return images by index, uint8 (b, h, w, c), in memory."""
        return self.images[rows] if self.file is None else self.file.take(rows)

    @property
    def flat(self) -> tuple[int, ...]:
        """Indices of images of one colour only."""
        return tuple(i for shard in self.shards for i in shard.flat)


def shard_rows(shape: tuple[int, int, int, int]) -> int:
    """Return the images of a shard: 1,024, or fewer of large ones (32 MiB)."""
    return max(1, min(_SHARD_ROWS, _SHARD_BYTES // math.prod(shape[1:])))


def stored_images(content: object, shape: tuple[int, int, int, int], fill: Fill) -> ImageStore:
    """Return the store of these images; decode those that are not in the cache yet.

    Args:
        content: All that the images depend on, as JSON has it.
        shape: (n, h, w, c).
        fill: Decodes a shard.
    """
    name, key = entry_name([content, list(shape)])
    try:
        return _anywhere(name, key, shape, fill)
    except MemoryError as error:
        raise DataError(
            f"{shape[0]:,} images of {size_text(shape[1:])} pixels need "
            f"{math.prod(shape) / 1e9:,.1f} GB of memory, more than there is; give a smaller "
            "image_size (--image-size)."
        ) from error


def _anywhere(name: Path, key: str, shape: tuple[int, int, int, int], fill: Fill) -> ImageStore:
    """Return the store in the cache; where that cannot be written, in memory."""
    try:
        make_cache_folder()
        with FileLock(name.with_suffix(".lock")):
            return _in_file(name, key, shape, fill)
    except OSError as error:
        _logger.warning("No cache is kept, so every start decodes the images: %s.", error)
    return _in_memory(name, shape, fill)


def _starts(shape: tuple[int, int, int, int]) -> range:
    return range(0, shape[0], shard_rows(shape))


def _in_memory(name: Path, shape: tuple[int, int, int, int], fill: Fill) -> ImageStore:
    images, rows = np.zeros(shape, np.uint8), shard_rows(shape)
    shards = [fill(images[start : start + rows], start) for start in _starts(shape)]
    return ImageStore(images, tuple(shards), name)


def _in_file(name: Path, key: str, shape: tuple[int, int, int, int], fill: Fill) -> ImageStore:
    data, journal = name.with_suffix(".npy"), name.with_suffix(".jsonl")
    lines = _read_journal(journal, key, shape)
    if lines and not _is_whole(data, shape, lines):
        _logger.warning("The cache %s is damaged, so the images are decoded anew.", data)
        lines = []
    if len(lines) < len(_starts(shape)):
        _write(data, journal, key, shape, fill, lines)
        prune_cache(data)
    os.utime(journal)  # used now
    images: NDArray[np.uint8] = np.memmap(data, np.uint8, "r", _HEADER, shape)
    file = RowFile(data, _HEADER, shape[1:])
    shards = tuple(_shard(line) for line in lines)
    sums = json.dumps([key, *(line["crc"] for line in lines)])
    return ImageStore(images, shards, name, file, hashlib.sha256(sums.encode()).hexdigest())


def _write(
    data: Path,
    journal: Path,
    key: str,
    shape: tuple[int, int, int, int],
    fill: Fill,
    lines: list[dict[str, Any]],
) -> None:
    """Write the shards that are missing; append to ``lines`` what is known of each."""
    rows = shard_rows(shape)
    if not lines:
        _begin(data, journal, key, shape)
    with data.open("r+b") as file, journal.open("a", encoding="utf-8") as log:
        for start in _starts(shape)[len(lines) :]:
            images = np.zeros((min(rows, shape[0] - start), *shape[1:]), np.uint8)
            shard = fill(images, start)
            file.seek(_HEADER + start * math.prod(shape[1:]))
            file.write(images.data)
            file.flush()
            line = {"bad": shard.bad, "flat": shard.flat, "crc": zlib.crc32(images.data)}
            lines.append(json.loads(json.dumps(line)))
            log.write(json.dumps(line) + "\n")
            log.flush()


def _begin(data: Path, journal: Path, key: str, shape: tuple[int, int, int, int]) -> None:
    for path in (journal, data):
        path.unlink(missing_ok=True)
    with data.open("xb") as file:
        _write_head(file, shape)
    journal.write_text(json.dumps({"key": key, "shape": shape}) + "\n", encoding="utf-8")


def _write_head(file: BinaryIO, shape: tuple[int, int, int, int]) -> None:
    head = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, head)
    assert file.tell() == _HEADER


def _read_journal(
    journal: Path, key: str, shape: tuple[int, int, int, int]
) -> list[dict[str, Any]]:
    """Return the lines of the finished shards; a torn last line does not count."""
    if not journal.is_file():
        return []
    whole = journal.read_bytes()
    kept = whole[: whole.rfind(b"\n") + 1]
    try:
        head, *lines = (json.loads(line) for line in kept.splitlines())
        good = head == {"key": key, "shape": list(shape)} and all(map(_is_line, lines))
    except (ValueError, RecursionError):
        good = False
    if not good or len(lines) > len(_starts(shape)):
        _logger.warning("The cache %s is ignored and the images decoded anew.", journal)
        return []
    if len(kept) < len(whole):
        os.truncate(journal, len(kept))
    return lines


def _is_line(line: object) -> bool:
    return isinstance(line, dict) and {"bad", "flat", "crc"} <= line.keys() and (
        isinstance(line["bad"], dict) and all(str(i).isdecimal() for i in line["bad"])
    ) and isinstance(line["flat"], list)  # fmt: skip


def _shard(line: dict[str, Any]) -> Shard:
    bad = {int(i): str(why) for i, why in line["bad"].items()}
    return Shard(bad, tuple(int(i) for i in line["flat"]))


def _is_whole(data: Path, shape: tuple[int, int, int, int], lines: list[dict[str, Any]]) -> bool:
    """Tell whether the file holds the finished shards, by their check sums."""
    rows, row = shard_rows(shape), math.prod(shape[1:])
    if not data.is_file():
        return False
    with data.open("rb") as file:
        file.seek(_HEADER)
        for start, line in zip(_starts(shape), lines, strict=False):
            block = file.read(min(rows, shape[0] - start) * row)
            if zlib.crc32(block) != line["crc"]:
                return False
    return True
