"""Standard streams that cannot end a command: closed, full, without a reader, or ASCII only.

What a command did is stored before it is printed, so a stream that fails only loses text.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

_NOBODY_READS = (errno.EPIPE, errno.EIO, errno.EBADF)


class _Forgiving(io.RawIOBase):
    """The raw file below a stream; after its first error it drops what is written."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()

    def write(self, data: object) -> int:
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        if self.error is None:
            try:
                return self._raw.write(data) or size  # type: ignore[arg-type]
            except OSError as error:
                self.error = error
        return size


def forgive() -> None:
    """Replace standard output and error by streams that raise no error."""
    _fill_descriptors()
    sys.stdout, sys.stderr = _forgiving(sys.stdout), _forgiving(sys.stderr)


def _fill_descriptors() -> None:
    """Open closed descriptors 0 to 2, which a database or an image would get otherwise."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free one: this one
            os.set_inheritable(opened, True)


def _forgiving(stream: TextIO | None) -> TextIO:
    buffer = getattr(stream, "buffer", None)
    if stream is None or buffer is None:
        return stream or open(os.devnull, "w", encoding="utf-8")
    raw = getattr(buffer, "raw", buffer)  # python -u has no buffer between
    return io.TextIOWrapper(
        io.BufferedWriter(_Forgiving(raw)),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=True,
    )


def finish(code: int) -> int:
    """Flush the streams; return the exit code, 1 if output that someone wanted was lost."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = raw.error if isinstance(raw, _Forgiving) else None
    if error is None or error.errno in _NOBODY_READS:
        return code
    print(f"Error: Standard output cannot be written: {error.strerror}.", file=sys.stderr)
    return code or 1
