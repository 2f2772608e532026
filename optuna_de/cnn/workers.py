"""Worker processes of one search on this machine: start, restart, stop, and watch them.

Each worker is the same in-process worker as alone, with its share of the cores, or one GPU each.
They share nothing but the study.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from types import FrameType

import optuna
import torch

from optuna_de.cnn.search import Search
from optuna_de.worker import Outcome, TooManyFailuresError, optimize

MAX_RESTARTS = 10
_POLL = 0.5  # seconds


def default_workers(device: str) -> int:
    """Return one worker per GPU, or one per core where there is none."""
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return torch.cuda.device_count()
    return os.cpu_count() or 1


def work(
    search: Search,
    study: optuna.Study,
    *,
    threads: int | None = None,
    timeout: float | None = None,
    callback: Callable[[optuna.Study, optuna.trial.FrozenTrial], None] | None = None,
) -> Outcome:
    """Work on the study in this process until it is done."""
    if threads is not None:
        torch.set_num_threads(threads)
    return optimize(
        study, search.objective(), total=search.total, timeout=timeout, callback=callback
    )


def _process(search: Search, index: int, workers: int, timeout: float | None) -> None:
    """Be one of several workers, in a process group that the terminal's Ctrl-C does not reach."""
    os.setpgrp()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if torch.cuda.is_available():
        os.environ["CUDA_VISIBLE_DEVICES"] = str(index % torch.cuda.device_count())
    threads = max(1, (os.cpu_count() or 1) // workers)
    study = optuna.load_study(
        study_name=search.name, storage=search.open(), sampler=search.sampler()
    )
    outcome = work(search, study, threads=threads, timeout=timeout)
    raise SystemExit(128 + outcome.signal if outcome.signal else 0)


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
        The signal that ended the search, 0 for none.

    Raises:
        TooManyFailuresError: Workers died more than ``MAX_RESTARTS`` times.
    """
    context = get_context("spawn")
    ends = None if timeout is None else time.monotonic() + timeout

    def start(index: int) -> BaseProcess:
        left = None if ends is None else max(0.1, ends - time.monotonic())
        process = context.Process(target=_process, args=(search, index, workers, left))
        process.start()
        return process

    processes = [start(index) for index in range(workers)]
    restarts = 0
    with _passing_on(processes) as received:
        while any(process.is_alive() for process in processes):
            time.sleep(_POLL)
            watch()
            for index, process in enumerate(processes):
                if not received and process.exitcode not in (None, 0):
                    restarts += 1
                    _check_restarts(restarts, process.exitcode)
                    processes[index] = start(index)
    watch()
    return received[0] if received else 0


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

    numbers = (signal.SIGINT, signal.SIGTERM)
    old = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        for process in processes:
            if process.is_alive():
                process.terminate()
