"""A crew of worker processes that can be killed, paused and replaced; POSIX only."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from multiprocessing.process import BaseProcess

PAUSE = 6.0
"""Seconds of a pause."""
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["optuna_de", "optuna_de.storage", "tests.servers"])


class Crew:
    """Workers, each replaced where it dies before its time."""

    def __init__(self, count: int, task: Callable[..., None], *arguments: object) -> None:
        self._task, self._arguments = task, arguments
        self.counts = Counter[str]()
        self.workers = [self._start() for _ in range(count)]

    def _start(self) -> BaseProcess:
        process = CONTEXT.Process(target=self._task, args=self._arguments)
        process.start()
        return process

    def kill(self, index: int) -> None:
        """Kill a worker and replace it."""
        self.workers[index].kill()
        self.workers[index].join()
        self.counts["kills"] += 1
        self.workers[index] = self._start()

    def pause(self, index: int) -> None:
        """Stop a worker for longer than its grace."""
        pid = self.workers[index].pid or 0
        os.kill(pid, signal.SIGSTOP)
        self.counts["pauses"] += 1
        timer = threading.Timer(PAUSE, _go_on, [pid])
        timer.daemon = True
        timer.start()

    def replace_crashed(self) -> None:
        """Count and replace the workers that ended by an error."""
        for index, worker in enumerate(self.workers):
            if worker.exitcode not in (None, 0):
                self.counts["crashes"] += 1
                self.workers[index] = self._start()

    def alive(self) -> list[int]:
        """Return which workers have not ended."""
        return [i for i, worker in enumerate(self.workers) if worker.exitcode is None]


def _go_on(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:  # killed meanwhile
        return
