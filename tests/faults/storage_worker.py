"""What worker processes of the storage tests run; imported by name in each process."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from optuna_de import DESampler, _compat
from optuna_de.storage import rdb as _rdb
from optuna_de.storage import stale_trials as _reaper
from optuna_de.storage.open_storage import open_storage
from optuna_de.worker import GiveBack, stop_requested
from optuna_de.worker.optimize import optimize

CONTEXT: Any = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
if os.name == "posix":
    CONTEXT.set_forkserver_preload([__name__])
INTERVAL, GRACE = 1, 2
CALM: dict[str, Any] = {"heartbeat_interval": 60, "grace_period": 120}
"""Heartbeats under which no trial goes stale by the slowness of a busy machine."""
PATIENCE = 300.0
"""Seconds for which a test waits for a process; an idle machine needs a few."""
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


def work_on_a_full_disk(url: str) -> None:
    """Run one trial of 40 parameters; for a second in it no file may grow."""
    import resource  # POSIX only

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    folder = Path(url.removeprefix("sqlite:///")).parent
    errors: list[str] = []
    logging.getLogger("optuna_de").addHandler(_Recorder(errors))

    def run(trial: optuna.Trial) -> float:
        largest = max(file.stat().st_size for file in folder.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
        lift = threading.Timer(1.0, resource.setrlimit, [resource.RLIMIT_FSIZE, (soft, hard)])
        lift.start()
        x = sum(trial.suggest_float(f"x{i}", 0, 1) for i in range(40))
        trial.set_user_attr("errors", len(errors))
        return x

    optimize(study_of(url, **CALM), run, total=1)


class _Recorder(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


def spawn(target: Callable[..., None], *args: Any, **kwargs: Any) -> BaseProcess:
    process: BaseProcess = CONTEXT.Process(target=target, args=args, kwargs=kwargs)
    process.start()
    return process


def together(url: str, task: Callable[[str], Any], workers: int = 8) -> list[Any]:
    """Run a task in many processes that start at one barrier."""
    return each(task, [url] * workers)


def each(task: Callable[[Any], Any], inputs: Sequence[Any]) -> list[Any]:
    """Run a task on each input, in processes that start at one barrier."""
    barrier = CONTEXT.Barrier(len(inputs))
    with ProcessPoolExecutor(len(inputs), CONTEXT, _remember, (barrier,)) as pool:
        return [f.result(PATIENCE) for f in [pool.submit(task, x) for x in inputs]]


def wait_at_barrier() -> None:
    """Wait for the other processes of :func:`each`."""
    _barrier.wait(PATIENCE)


def _remember(barrier: Any) -> None:
    global _barrier  # noqa: PLW0603
    _barrier = barrier


def pop(url: str) -> list[int]:
    """Ask until the queue is empty; return the values of the popped trials."""
    warnings.simplefilter("ignore")
    study = study_of(url, **CALM)
    popped: list[int] = []
    _barrier.wait(PATIENCE)
    while True:
        params = _compat.frozen(study.ask()).system_attrs.get("fixed_params")
        if params is None:
            return popped
        popped.append(params["i"])


def pop_and_create(url: str) -> tuple[list[int], list[int]]:
    """Empty the queue, then begin 25 trials; return the popped values, and the numbers."""
    popped = pop(url)
    study = study_of(url, **CALM)
    _barrier.wait(PATIENCE)
    return popped, [study.ask().number for _ in range(25)]


def reap(url: str) -> None:
    warnings.simplefilter("ignore")
    study = study_of(url, **CALM)
    _barrier.wait(PATIENCE)
    optuna.storages.fail_stale_trials(study)


def age_heartbeats(study: optuna.Study) -> None:
    """Make every running trial's heartbeat an hour old."""
    storage = open_storage_of(study)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        storage.record_heartbeat(_compat.trial_id(trial))
    with storage.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trial_heartbeats SET heartbeat='2020-01-01 00:00:00'")


def open_storage_of(study: optuna.Study) -> _rdb.ResilientRDBStorage:
    storage = study._storage._backend  # type: ignore[attr-defined]
    assert isinstance(storage, _rdb.ResilientRDBStorage)
    return storage


def ask_quietly(study: optuna.Study, n: int = 1) -> list[optuna.Trial]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
        return [study.ask() for _ in range(n)]


def root(study: optuna.Study, trial: FrozenTrial) -> int:
    while (older := _reaper.parent(trial)) is not None:
        trial = study.trials[older]
    return trial.number


def assert_each_root_complete_once(study: optuna.Study, total: int) -> None:
    states = Counter(t.state for t in study.trials)
    assert states[TrialState.RUNNING] == 0, states
    done = Counter(root(study, t) for t in study.trials if t.state == TrialState.COMPLETE)
    assert set(done.values()) == {1}
    assert sum(done.values()) == total


def decide(url: str) -> list[tuple[list[int], list[int]]]:
    """Work with others; return the finished trials and the population behind each decision."""
    warnings.simplefilter("ignore")
    study = study_of(url, **CALM)
    sampler = study.sampler = DESampler(seed=0, population_size=5)
    _barrier.wait(PATIENCE)
    seen = []
    for _ in range(12):
        trial = study.ask()
        history = sampler._history(study)
        finished = [entry.number for entry in history.fold.finished]
        seen.append((finished, [member.number for member in history.population]))
        study.tell(trial, trial.suggest_float("x", 0, 1))
    return seen
