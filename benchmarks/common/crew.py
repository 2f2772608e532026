"""Worker processes that can be killed, paused and replaced, and a gRPC proxy; POSIX only."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.servers import free_port

PAUSE = 6.0
"""Seconds of a pause."""
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["optuna_de", "optuna_de.storage.open_storage", "tests.servers"])


class Proxy:
    """The example's gRPC proxy before a storage, on a free loopback port."""

    def __init__(self, storage: str, threads: int = 10) -> None:
        self._port = free_port()
        script = str(Path(__file__).parents[2] / "examples" / "grpc_proxy.py")
        options = ["--port", str(self._port), "--threads", str(threads)]
        self._command = [sys.executable, "-W", "ignore", script, storage, *options]
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    @property
    def url(self) -> str:
        """The proxy's URL."""
        return f"grpc://127.0.0.1:{self._port}"

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self._process = self._start()


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

    def hang_up(self, index: int) -> None:
        """Send a worker SIGHUP, wait until it has given its trial back, and replace it."""
        os.kill(self.workers[index].pid or 0, signal.SIGHUP)
        self.workers[index].join()
        self.counts["hangups"] += 1
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
