"""Row file: the rows of a file, read by index, of which nothing stays in memory.

Pages of a mapped file count as the process's own, and one access may map megabytes around it.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray


class RowFile:
    """A file of uint8 rows, which is read by index.

    Args:
        path: The file.
        start: Where the first row begins, in bytes.
        shape: Shape of a row.

    Raises:
        OSError: If it cannot be opened.
    """

    def __init__(self, path: Path, start: int, shape: tuple[int, ...]) -> None:
        self._path, self._start, self._shape = path, start, shape
        self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._lock = Lock()

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            os.close(self._handle)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read rows by index: uint8 (n, ...).

        Raises:
            OSError: If the file ends before one of them.
        """
        taken = np.empty((len(rows), *self._shape), np.uint8)
        size = math.prod(self._shape)
        if len(rows) and (np.diff(rows) == 1).all():
            self._read(taken.reshape(-1), int(rows[0]) * size)
        else:
            for place, row in zip(taken.reshape(len(rows), size), rows.tolist(), strict=True):
                self._read(place, row * size)
        return taken

    def _read(self, place: NDArray[np.uint8], start: int) -> None:
        """Read bytes from one of the first row's bytes on."""
        done = 0
        while done < len(place):
            count = self._some(place[done:], self._start + start + done)
            if count == 0:
                raise OSError(f"{self._path} is shorter than it was; start again.")
            done += count

    def _some(self, place: NDArray[np.uint8], start: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._handle, [place.data], start)
        with self._lock:  # a place in the file belongs to the handle
            os.lseek(self._handle, start, os.SEEK_SET)
            data = os.read(self._handle, len(place))
        place[: len(data)] = np.frombuffer(data, np.uint8)
        return len(data)
