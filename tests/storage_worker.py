"""What worker processes of the storage tests run; imported by name in each process."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from typing import Any

import optuna

from optuna_de import _compat, _reaper
from optuna_de.storage import open_storage
from optuna_de.worker import GiveBack, optimize, stop_requested

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])
INTERVAL, GRACE = 1, 2
_barrier: Any = None
_opened: list[Any] = []


def study_of(url: str, name: str = "s", **options: Any) -> optuna.Study:
    """Open or make a study with fast heartbeats."""
    options = {"heartbeat_interval": INTERVAL, "grace_period": GRACE, **options}
    sampler = optuna.samplers.RandomSampler()
    storage = open_storage(url, **options)
    _opened.append(storage)
    return optuna.create_study(
        study_name=name, storage=storage, sampler=sampler, load_if_exists=True
    )


def close_all() -> None:
    """Close the connections of every storage that this process opened."""
    while _opened:
        if engine := getattr(_opened.pop(), "engine", None):
            engine.dispose()


def objective(seconds: float) -> Callable[[optuna.Trial], float]:
    """Return an objective that takes a while and gives back when asked to stop."""

    def run(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if stop_requested():
                trial.set_user_attr("checkpoint", trial.number)
                raise GiveBack
            time.sleep(0.02)
        return x

    return run


def work(url: str, total: int, seconds: float, beat: int = INTERVAL) -> None:
    """Work as `optimize` does; leave with 128 plus the signal's number."""
    logging.disable(logging.CRITICAL)
    study = study_of(url, heartbeat_interval=beat, grace_period=GRACE * beat)
    outcome = optimize(study, objective(seconds), total=total, heartbeat_interval=beat / 2)
    if outcome.signal:
        sys.exit(128 + outcome.signal)


def die_before_first_heartbeat(url: str) -> None:
    study = study_of(url)
    study.ask()
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_reaping(url: str) -> None:
    """Die after a stale trial was failed and before its clone is queued."""
    _reaper.Requeue.__call__ = lambda *_: os._exit(9)  # type: ignore[method-assign]
    optuna.storages.fail_stale_trials(study_of(url))


def spawn(target: Callable[..., None], *args: Any, **kwargs: Any) -> BaseProcess:
    process = CONTEXT.Process(target=target, args=args, kwargs=kwargs)
    process.start()
    return process


def together(url: str, task: Callable[[str], Any], workers: int = 8) -> list[Any]:
    """Run a task in many processes that start at one barrier."""
    barrier = CONTEXT.Barrier(workers)
    with ProcessPoolExecutor(workers, CONTEXT, _remember, (barrier,)) as pool:
        return [f.result(60) for f in [pool.submit(task, url) for _ in range(workers)]]


def _remember(barrier: Any) -> None:
    global _barrier  # noqa: PLW0603
    _barrier = barrier


def pop(url: str) -> list[int]:
    """Ask until the queue is empty; return the values of the popped trials."""
    warnings.simplefilter("ignore")
    study = study_of(url)
    popped: list[int] = []
    _barrier.wait(60)
    while True:
        params = _compat.frozen(study.ask()).system_attrs.get("fixed_params")
        if params is None:
            return popped
        popped.append(params["i"])


def create(url: str) -> list[int]:
    warnings.simplefilter("ignore")
    study = study_of(url)
    _barrier.wait(60)
    return [study.ask().number for _ in range(25)]


def reap(url: str) -> None:
    warnings.simplefilter("ignore")
    study = study_of(url)
    _barrier.wait(60)
    optuna.storages.fail_stale_trials(study)
