"""Stop requests to a worker: signals, the grace period, and the exception that gives a trial back.

Depends on signals and threads only.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class GiveBack(BaseException):
    """Exception that ends a trial and queues it again.

    An objective may raise it after a stop request.
    """


class Stop:
    """A stop request: the first signal is noted; after `grace` seconds the trial is left."""

    def __init__(self, grace: float) -> None:
        self.signal, self._grace, self._armed = 0, grace, False
        self._timer: threading.Timer | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Note a first signal; raise :class:`GiveBack` at the next, or after the grace."""
        if self.signal and self._armed:
            self._armed = False
            raise GiveBack
        if not self.signal:
            self.note(number)

    def note(self, number: int) -> None:
        """Note a signal and start the grace period."""
        self.cancel()
        self.signal = self.signal or number
        self._timer = threading.Timer(self._grace, signal_main_thread, [number])
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


def signal_main_thread(number: int) -> None:
    """Signal so that a blocking call of the main thread returns (Windows has no such way)."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


_current: Stop | None = None


def stop_requested() -> bool:
    """Return whether this worker was asked to stop. Save your state, then raise `GiveBack`."""
    return _current is not None and _current.signal != 0


def stop_signals() -> list[int]:
    """Return the signals that ask a worker to stop; nohup's ignored SIGHUP is none."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    heard = hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([hangup] if heard else [])]  # type: ignore[list-item]


@contextmanager
def handling(stop: Stop) -> Iterator[None]:
    """Handle the stop signals in the main thread; elsewhere Python allows no handler.

    A worker inside the objective of another shares its signals: what asks one asks both.
    """
    global _current  # noqa: PLW0603
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outer, _current = _current, stop
    old = {number: signal.signal(number, stop) for number in stop_signals()}
    if outer is not None and outer.signal:
        stop.note(outer.signal)
    try:
        yield
    finally:
        _current = outer
        stop.cancel()
        for number, handler in old.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: by C
        if outer is not None and stop.signal:
            outer.note(stop.signal)
