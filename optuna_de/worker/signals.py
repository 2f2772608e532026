"""How a worker is asked to stop: signals, a grace period, and the exception that ends a trial.

Knows signals and threads. Does not know Optuna.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class GiveBack(BaseException):
    """Ends a trial so that it is queued again; an objective may raise it when asked to stop."""


class Stop:
    """The wish to stop. The first signal is noted; after `grace` seconds the trial is left."""

    def __init__(self, grace: float) -> None:
        self.signal, self._grace, self._armed = 0, grace, False
        self._timer: threading.Timer | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Note a first signal; raise :class:`GiveBack` at the next, or after the grace."""
        if self.signal and self._armed:
            self._armed = False
            raise GiveBack
        if not self.signal:
            self.signal = number
            self._timer = threading.Timer(self._grace, _signal_main_thread, [number])
            self._timer.daemon = True
            self._timer.start()

    def cancel(self) -> None:
        """Let no late signal reach a process that left the loop."""
        if self._timer is not None:
            self._timer.cancel()

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Allow the next signal to interrupt the objective, and nothing but the objective."""
        self._armed = True
        try:
            yield
        finally:
            self._armed = False


def _signal_main_thread(number: int) -> None:
    """Signal so that a blocking call of the main thread returns (Windows has no such way)."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


_current: Stop | None = None


def stop_requested() -> bool:
    """Tell whether this process's worker was asked to stop: save, then raise `GiveBack`."""
    return _current is not None and _current.signal != 0


@contextmanager
def handling(stop: Stop) -> Iterator[None]:
    """Handle SIGINT and SIGTERM in the main thread; elsewhere Python allows no handler."""
    global _current  # noqa: PLW0603
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    _current = stop
    try:
        yield
    finally:
        _current = None
        stop.cancel()
        for number, handler in old.items():
            signal.signal(number, handler)
