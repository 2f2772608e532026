"""Worker processes of one search on this machine: start, restart, stop, and watch them.

Each worker is the same in-process worker as alone, with its share of the cores: by default one
each, single-threaded. GPUs are dealt out in turn, so that more workers than cards share a card and
train several small networks on it at once. Workers share nothing but the study and wait for
nothing but a free trial: no generation ends in idle cores, in whatever order large and small
networks come.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from types import FrameType

import optuna
import torch

from optuna_de._allocator import keep_memory
from optuna_de.cnn.scoring import pick_device
from optuna_de.cnn.search import Search
from optuna_de.worker import TooManyFailuresError, optimize

MAX_RESTARTS = 10
GAVE_BACK = 75  # EX_TEMPFAIL of sysexits.h: trying again makes sense
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_POLL = 0.5  # seconds


def default_workers(device: str) -> int:
    """Return one worker per GPU, or one per core where ``device`` is the CPU."""
    cards = _cards(device)
    if cards:
        return len(cards)
    return (os.cpu_count() or 1) if pick_device(device).type == "cpu" else 1


def _cards(device: str) -> list[str]:
    """Return the CUDA devices among which workers are shared out; none without a choice."""
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return []
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())]


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
    if threads is not None:
        torch.set_num_threads(threads)
    outcome = optimize(
        study, search.objective(), total=search.total, timeout=timeout, callback=callback
    )
    if outcome.signal:
        return 128 + outcome.signal
    return GAVE_BACK if outcome.given_back else 0


def _process(search: Search, threads: int, timeout: float | None) -> None:
    """Be one of several workers, in a process group that the terminal's Ctrl-C does not reach."""
    keep_memory()
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    for number in _SIGNALS:
        signal.signal(number, _leave)
    _mask(block=False)
    _log()
    study = optuna.load_study(
        study_name=search.name, storage=search.open(), sampler=search.sampler()
    )
    raise SystemExit(
        work(search, study, threads=threads, timeout=timeout, callback=_leave_with_parent)
    )


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _leave_with_parent(_study: optuna.Study, _trial: optuna.trial.FrozenTrial) -> None:
    parent = parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit(GAVE_BACK)


def _mask(*, block: bool) -> None:
    """Hold back signals, which a starting interpreter answers with a traceback (POSIX only)."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK if block else signal.SIG_UNBLOCK, _SIGNALS)


def _log() -> None:
    """Write warnings as plain lines; in a terminal over the parent's line of progress."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    erase = "\r\033[K" if sys.stderr.isatty() else ""
    logging.basicConfig(level=logging.WARNING, format=f"{erase}%(message)s")


def work_together(
    search: Search, workers: int, *, timeout: float | None = None, watch: Callable[[], None]
) -> int:
    """Run ``workers`` processes until the study is done; restart those that die.

    SIGINT and SIGTERM are passed on, so that each worker finishes or gives back its trial.

    Args:
        search: The description.
        workers: Number of processes, at least 1.
        timeout: Seconds after which no trial is started.
        watch: Called about twice a second.

    Returns:
        The exit code: 0, or 128 plus the signal that ended the search.

    Raises:
        TooManyFailuresError: Workers died more than ``MAX_RESTARTS`` times.
    """
    cards = _cards(search.device)
    threads = max(1, (os.cpu_count() or 1) // workers)
    ends = None if timeout is None else time.monotonic() + timeout

    def start(index: int) -> BaseProcess:
        left = None if ends is None else max(0.1, ends - time.monotonic())
        own = replace(search, device=cards[index % len(cards)] if cards else search.device)
        process = get_context("spawn").Process(target=_process, args=(own, threads, left))
        _mask(block=True)
        try:
            process.start()
        finally:
            _mask(block=False)
        return process

    processes: list[BaseProcess] = []
    restarts = 0
    with _passing_on(processes) as received:
        processes += [start(index) for index in range(workers)]
        while any(process.is_alive() for process in processes):
            time.sleep(_POLL)
            watch()
            for index, process in enumerate(processes):
                if not received and process.exitcode not in (None, 0):
                    restarts += 1
                    _check_restarts(restarts, process.exitcode)
                    processes[index] = start(index)
    watch()
    return 128 + received[0] if received else 0


def _check_restarts(restarts: int, code: int | None) -> None:
    if restarts > MAX_RESTARTS:
        raise TooManyFailuresError(
            f"Workers died {restarts} times, the last with exit code {code}; the search stops."
        )


@contextmanager
def _passing_on(processes: list[BaseProcess]) -> Iterator[list[int]]:
    """Pass signals on to the processes; yields the list of those received."""
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        for process in processes:
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, number)

    old = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        for process in processes:
            if process.is_alive():
                process.terminate()
