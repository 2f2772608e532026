"""One worker process of a search: its signals, its log, its exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import parent_process, resource_tracker
from types import FrameType

import optuna

from optuna_de._allocator import keep_memory
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.study.trials import spent_seconds
from optuna_de.cnn.training.device import use_threads
from optuna_de.worker.optimize import StudyDeletedError, TooManyFailuresError, optimize
from optuna_de.worker.signals import signal_main_thread, stop_signals

GAVE_BACK = 75  # EX_TEMPFAIL of sysexits.h: trying again makes sense
GAVE_UP = 70  # EX_SOFTWARE: trying again does not
STUDY_DELETED = 69  # EX_UNAVAILABLE
_logger = logging.getLogger(__name__)


def work(
    search: Search,
    study: optuna.Study,
    *,
    threads: int | None = None,
    timeout: float | None = None,
    callback: Callable[[optuna.Study, optuna.trial.FrozenTrial], None] | None = None,
) -> int:
    """Work on the study in this process until it is done, or its compute is spent.

    Returns:
        The exit code: 0; 128 plus the signal that ended it; ``GAVE_BACK`` if this process cannot
        go on (its device is lost, or filled by others) and its trial is queued again.
    """
    use_threads(threads)

    def after(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if callback is not None:
            callback(study, trial)
        if search.compute is not None and spent_seconds(study) >= search.compute:
            study.stop()

    outcome = optimize(
        study, search.objective(), total=search.total, timeout=timeout, callback=after
    )
    if outcome.signal:
        return 128 + outcome.signal
    return GAVE_BACK if outcome.given_back else 0


def run(search: Search, threads: int, timeout: float | None) -> None:
    """Be one of several workers, in a process group that the terminal's Ctrl-C does not reach."""
    keep_memory()
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    for number in stop_signals():
        signal.signal(number, _leave)
    mask(block=False)
    _leave_with_launcher()
    _log()
    code = _work_quietly(search, threads, timeout)
    logging.shutdown()
    os._exit(code)  # all is stored, and taking torch down costs a second of processor time


def _work_quietly(search: Search, threads: int, timeout: float | None) -> int:
    try:
        study = optuna.load_study(
            study_name=search.name, storage=search.open(), sampler=search.sampler()
        )
    except KeyError:
        return STUDY_DELETED  # the launcher says it once
    try:
        return work(search, study, threads=threads, timeout=timeout)
    except TooManyFailuresError as error:
        _logger.warning("%s", error)
        return GAVE_UP
    except StudyDeletedError:
        return STUDY_DELETED


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _leave_with_launcher() -> None:
    """Stop as by SIGTERM when the launcher is gone, even by SIGKILL; the trial is given back."""
    launcher = parent_process()
    if launcher is None:
        return

    def wait() -> None:
        launcher.join()  # its end of a pipe closes when it dies, on every system
        signal_main_thread(signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def mask(*, block: bool) -> None:
    """Hold back signals, which a starting interpreter answers with a traceback (POSIX only).

    The resource tracker of :mod:`multiprocessing` unmasks them when it starts, so it starts first.
    """
    if hasattr(signal, "pthread_sigmask"):
        if block:
            resource_tracker.ensure_running()
        how = signal.SIG_BLOCK if block else signal.SIG_UNBLOCK
        signal.pthread_sigmask(how, stop_signals())


def _log() -> None:
    """Write warnings as plain lines; in a terminal over the parent's line of progress."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    erase = "\r\033[K" if sys.stderr.isatty() else ""
    logging.basicConfig(level=logging.WARNING, format=f"{erase}%(message)s")
