"""Worker processes of one search on this machine: start, restart, stop, and watch them.

Each worker is the same in-process worker as alone, with its share of the cores: by default one
each, single-threaded. GPUs are dealt out in turn, so that more workers than cards share a card and
train several small networks on it at once. Workers share nothing but the study and wait for
nothing but a free trial: no generation ends in idle cores, in whatever order large and small
networks come.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from types import FrameType

import torch

from optuna_de.cnn.search.search import Search
from optuna_de.cnn.search.worker_process import GAVE_UP, STUDY_DELETED, mask, run
from optuna_de.cnn.training.device import pick_device
from optuna_de.worker.optimize import StudyDeletedError, TooManyFailuresError
from optuna_de.worker.signals import stop_signals

MAX_RESTARTS = 10
"""Deaths of one worker in a row, each within ``SETTLED`` seconds of its start, that are borne."""
SETTLED = 3600.0
_POLL = 0.5  # seconds
_STOPPING = b"\nStopping: running trials are given back, from their last finished epoch.\n"


def default_workers(device: str) -> int:
    """Return one worker per GPU, or one per core where ``device`` is the CPU."""
    cards = _cards(device)
    if cards:
        return len(cards)
    return cores() if pick_device(device).type == "cpu" else 1


def cores() -> int:
    """Return the cores that this process may use, which a scheduler may have cut down."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cards(device: str) -> list[str]:
    """Return the CUDA devices among which workers are shared out; none without a choice."""
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return []
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())]


def work_together(
    search: Search, workers: int, *, timeout: float | None = None, watch: Callable[[], None]
) -> int:
    """Run ``workers`` processes until the study is done; restart those that die.

    SIGINT, SIGTERM and SIGHUP are passed on, so that each worker finishes or gives back its trial.
    Workers also give it back when this process is killed.

    Args:
        search: The description.
        workers: Number of processes, at least 1.
        timeout: Seconds after which no trial is started.
        watch: Called about twice a second.

    Returns:
        The exit code: 0, or 128 plus the signal that ended the search.

    Raises:
        TooManyFailuresError: A worker died more than ``MAX_RESTARTS`` times, or the last trials of
            one all failed.
        StudyDeletedError: The study was deleted meanwhile.
    """
    cards = _cards(search.device)
    threads = max(1, cores() // workers)
    ends = None if timeout is None else time.monotonic() + timeout

    def start(index: int) -> BaseProcess:
        left = None if ends is None else max(0.1, ends - time.monotonic())
        own = replace(search, device=cards[index % len(cards)] if cards else search.device)
        process = get_context("spawn").Process(target=run, args=(own, threads, left))
        mask(block=True)
        try:
            process.start()
        finally:
            mask(block=False)
        return process

    processes: list[BaseProcess] = []
    deaths = [Deaths() for _ in range(workers)]
    with _passing_on(processes) as received:
        for index in range(workers):
            if not received:
                processes.append(start(index))
                _catch_up(received, processes[-1:])
        while any(process.is_alive() for process in processes):
            time.sleep(_POLL)
            watch()
            for index, process in enumerate(processes):
                if not received and process.exitcode not in (None, 0):
                    _check_restart(search.name, deaths[index], process.exitcode)
                    processes[index] = start(index)
                    _catch_up(received, [processes[index]])
    watch()
    return 128 + received[0] if received else 0


def _catch_up(received: list[int], processes: list[BaseProcess]) -> None:
    """Pass on what came while a process started; a signal that reaches it twice hurries it."""
    for number in received[:1]:
        _pass_on(number, processes)


def _pass_on(number: int, processes: list[BaseProcess]) -> None:
    if number == signal.SIGINT and not hasattr(os, "setpgrp"):
        return  # Windows: Ctrl-C reaches all processes of a console, and os.kill would end them
    for process in processes:
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, number)


class Deaths:
    """Deaths of one worker of the pool: a start that lasted forgives those before it."""

    def __init__(self) -> None:
        self.number, self._started = 0, time.monotonic()

    def add(self) -> int:
        """Count one, as the worker is started again; return how many came in a row."""
        now = time.monotonic()
        self.number = 1 if now - self._started >= SETTLED else self.number + 1
        self._started = now
        return self.number


def _check_restart(study: str, deaths: Deaths, code: int | None) -> None:
    if code == STUDY_DELETED:
        raise StudyDeletedError(f"Study {study!r} was deleted while this search ran.")
    if code == GAVE_UP:
        raise TooManyFailuresError("The last trials of a worker all failed; the search stops.")
    if deaths.add() > MAX_RESTARTS:
        raise TooManyFailuresError(
            f"A worker died {deaths.number} times in a row, the last with exit code {code}; the "
            "search stops."
        )


@contextmanager
def _passing_on(processes: list[BaseProcess]) -> Iterator[list[int]]:
    """Pass signals on to the processes; yields the list of those received."""
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if not received:
            os.write(2, _STOPPING)
        received.append(number)
        _pass_on(number, processes)

    old = {number: signal.signal(number, handle) for number in stop_signals()}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for process in processes:
            if process.is_alive():
                process.terminate()
