"""One worker process of a search: its signals, its log, its exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import parent_process, resource_tracker
from types import FrameType

import optuna

from optuna_de._allocator import keep_memory
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.training.device import use_threads
from optuna_de.worker.optimize import TooManyFailuresError, optimize

GAVE_BACK = 75  # EX_TEMPFAIL of sysexits.h: trying again makes sense
GAVE_UP = 70  # EX_SOFTWARE: trying again does not
SIGNALS = (signal.SIGINT, signal.SIGTERM)
_logger = logging.getLogger(__name__)


def work(
    search: Search,
    study: optuna.Study,
    *,
    threads: int | None = None,
    timeout: float | None = None,
    callback: Callable[[optuna.Study, optuna.trial.FrozenTrial], None] | None = None,
) -> int:
    """Work on the study in this process until it is done.

    Returns:
        The exit code: 0; 128 plus the signal that ended it; ``GAVE_BACK`` where this process
        cannot go on (its device is lost, or filled by others) and its trial is queued again.
    """
    use_threads(threads)
    outcome = optimize(
        study, search.objective(), total=search.total, timeout=timeout, callback=callback
    )
    if outcome.signal:
        return 128 + outcome.signal
    return GAVE_BACK if outcome.given_back else 0


def run(search: Search, threads: int, timeout: float | None) -> None:
    """Be one of several workers, in a process group that the terminal's Ctrl-C does not reach."""
    keep_memory()
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    for number in SIGNALS:
        signal.signal(number, _leave)
    mask(block=False)
    _log()
    study = optuna.load_study(
        study_name=search.name, storage=search.open(), sampler=search.sampler()
    )
    try:
        code = work(search, study, threads=threads, timeout=timeout, callback=_leave_with_parent)
    except TooManyFailuresError as error:
        _logger.warning("%s", error)
        code = GAVE_UP
    raise SystemExit(code)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _leave_with_parent(_study: optuna.Study, _trial: optuna.trial.FrozenTrial) -> None:
    parent = parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit(GAVE_BACK)


def mask(*, block: bool) -> None:
    """Hold back signals, which a starting interpreter answers with a traceback (POSIX only).

    The resource tracker of :mod:`multiprocessing` unmasks them when it starts, so it starts first.
    """
    if hasattr(signal, "pthread_sigmask"):
        if block:
            resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK if block else signal.SIG_UNBLOCK, SIGNALS)


def _log() -> None:
    """Write warnings as plain lines; in a terminal over the parent's line of progress."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    erase = "\r\033[K" if sys.stderr.isatty() else ""
    logging.basicConfig(level=logging.WARNING, format=f"{erase}%(message)s")
