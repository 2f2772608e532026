"""optimize(study, objective): a worker that shares a study with others and loses no trial.

Knows Optuna only: ask, run, tell. Optuna distributes the work; this loop keeps the total over
all workers, drops the result of a trial that was taken for dead, gives a trial back on SIGTERM
or Ctrl-C, and stops when only failures come.
"""

from __future__ import annotations

import copy
import logging
import random
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType

import optuna
from optuna.exceptions import StorageInternalError, TrialPruned, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_de import _compat
from optuna_de._reaper import BEAT, Reaper, Requeue, is_duplicate

Objective = Callable[[Trial], float | Sequence[float]]

_logger = logging.getLogger(__name__)
_DONE = (TrialState.COMPLETE, TrialState.PRUNED)
_UNBOUNDED = 1_000_000


class GiveBack(BaseException):
    """Ends a trial so that it is queued again; an objective may raise it when asked to stop."""


class TooManyFailuresError(RuntimeError):
    """The objective failed so often in a row that going on is pointless."""


@dataclass(frozen=True)
class Outcome:
    """What one worker did: counts of its trials, and the signal that ended it (0 for none)."""

    finished: int = 0
    failed: int = 0
    dropped: int = 0
    given_back: int = 0
    signal: int = 0


class _Stop:
    """The wish to stop. The first signal is noted; after `grace` seconds the trial is left."""

    def __init__(self, grace: float) -> None:
        self.signal, self._grace, self._armed = 0, grace, False
        self._timer: threading.Timer | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self.signal and self._armed:
            self._armed = False
            raise GiveBack
        if not self.signal:
            self.signal = number
            self._timer = threading.Timer(self._grace, _signal_main_thread, [number])
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


def _signal_main_thread(number: int) -> None:
    """Signal so that a blocking call of the main thread returns (Windows has no such way)."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


_current: _Stop | None = None


def stop_requested() -> bool:
    """Tell whether this process's worker was asked to stop: save, then raise `GiveBack`."""
    return _current is not None and _current.signal != 0


@contextmanager
def _handling(stop: _Stop) -> Iterator[None]:
    """Handle SIGINT and SIGTERM in the main thread; elsewhere Python allows no handler."""
    global _current  # noqa: PLW0603
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    _current = stop
    try:
        yield
    finally:
        _current = None
        stop.cancel()
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def _beating(study: optuna.Study, trial: FrozenTrial, interval: float) -> Iterator[None]:
    """Show in the storage that the trial lives: a first beat now, then one each interval."""
    heartbeat, ended = _compat.heartbeat_of(study), threading.Event()
    seconds = float(heartbeat.get_heartbeat_interval() or interval) if heartbeat else interval

    def beat(count: int) -> None:
        try:
            if heartbeat is not None:
                heartbeat.record_heartbeat(_compat.trial_id(trial))
            else:
                _compat.set_system_attr(study, trial, BEAT, [time.time(), count])
        except UpdateFinishedTrialError:
            ended.set()
        except Exception as error:
            _logger.warning("A heartbeat was not recorded: %s.", type(error).__name__)

    def run() -> None:
        count = 1
        while not ended.wait(seconds):
            beat(count)
            count += 1
        _compat.release_session(study)

    beat(0)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@dataclass(frozen=True)
class _Limits:
    total: int | None
    ends: float
    max_failures: int


def _room(study: optuna.Study, total: int | None, mine: int = -1) -> tuple[bool, bool]:
    """Return (a trial may start, all are done); `mine` is the number of a trial just asked."""
    if total is None:
        return True, False
    trials = _compat.fresh_trials_of(study)
    done = sum(t.state in _DONE for t in trials)
    running = sum(t.state == TrialState.RUNNING and t.number != mine for t in trials)
    return done + running < total, done >= total


def _ask(study: optuna.Study, total: int | None) -> Trial | None:
    """Ask for a trial, or put it back untouched where workers that asked at once overshoot."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
        trial = study.ask()
    frozen = _compat.frozen(trial)
    if is_duplicate(study, frozen):
        _compat.set_state(study, frozen, TrialState.FAIL)
        return None
    if _room(study, total, trial.number)[0]:
        return trial
    _compat.set_state(study, frozen, TrialState.WAITING)
    return None


def _give_back(study: optuna.Study, trial: Trial) -> None:
    """Queue the clone, then fail the trial: a death in between repeats, but never loses."""
    now = copy.deepcopy(_compat.frozen(trial))
    if now.state == TrialState.RUNNING:
        Requeue(max_retry=_UNBOUNDED)(study, now)
        _compat.set_state(study, now, TrialState.FAIL)


def _tell(
    study: optuna.Study,
    trial: Trial,
    values: float | Sequence[float] | None = None,
    state: TrialState | None = None,
) -> TrialState | None:
    """Tell a result; None when the trial was taken for dead meanwhile and the result drops."""
    if _compat.frozen(trial).state != TrialState.RUNNING:
        return None
    try:
        return study.tell(trial, values, state=state).state
    except UpdateFinishedTrialError:
        return None


def _run(study: optuna.Study, trial: Trial, objective: Objective, stop: _Stop) -> str:
    """Run one trial and tell it; return the field of `Outcome` that it counts for."""
    try:
        with stop.interrupting():
            values = objective(trial)
        state = _tell(study, trial, values)
    except TrialPruned:
        state = _tell(study, trial, state=TrialState.PRUNED)
    except (GiveBack, KeyboardInterrupt):
        _give_back(study, trial)
        return "given_back"
    except UpdateFinishedTrialError:
        state = None
    except StorageInternalError:
        raise
    except Exception as error:
        _logger.warning("Trial %d failed: %s: %s", trial.number, type(error).__name__, error)
        state = _tell(study, trial, state=TrialState.FAIL)
    if state is None:
        _logger.warning("Trial %d was taken for dead; its result is dropped.", trial.number)
        return "dropped"
    return "finished" if state in _DONE else "failed"


def _may_go_on(outcome: Outcome, in_a_row: int, limits: _Limits, stop: _Stop) -> bool:
    if in_a_row >= limits.max_failures:
        raise TooManyFailuresError(f"The last {in_a_row} trials failed; the worker stops.")
    return not stop.signal and not outcome.given_back and time.monotonic() < limits.ends


def optimize(
    study: optuna.Study,
    objective: Objective,
    *,
    total: int | None = None,
    timeout: float | None = None,
    max_failures: int = 10,
    grace: float = 10.0,
    heartbeat_interval: float = 30.0,
    callback: Callable[[optuna.Study, FrozenTrial], None] | None = None,
) -> Outcome:
    """Work on a study until it is done, as one of any number of workers.

    A worker asks only while finished (COMPLETE, PRUNED) plus running trials are fewer than
    `total`; of workers that ask at the same moment those that would overshoot put their trial
    back as WAITING, where a later run finds it. A worker without work stays until all are done,
    for it takes over the trials of workers that die. Failures do not count towards `total`.

    Args:
        study: a study in a storage from `open_storage`.
        objective: called with a trial; an `Exception` fails the trial.
        total: finished trials over all workers and all time, None for no limit.
        timeout: seconds after which this worker starts no trial, None for no limit.
        max_failures: consecutive failed trials of this worker after which it stops, at least 1.
        grace: seconds from SIGTERM or Ctrl-C until the objective is interrupted by `GiveBack`;
            a second signal interrupts at once.
        heartbeat_interval: seconds between signs of life where the storage has no heartbeat of
            its own; four of them without a sign make a trial dead.
        callback: called with the study and each trial that this worker ended.

    Returns:
        What this worker did. The caller exits with 128 plus `signal` where that is not 0.

    Raises:
        ValueError: an argument out of range.
        TooManyFailuresError: `max_failures` trials in a row failed.
        optuna.exceptions.StorageInternalError: the storage stayed away for minutes; the trial
            is re-queued by any other worker.
    """
    limits = _limits(total, timeout, max_failures)
    stop, outcome, in_a_row = _Stop(grace), Outcome(), 0
    reap = Reaper(study, 4 * heartbeat_interval)
    with _handling(stop):
        while _may_go_on(outcome, in_a_row, limits, stop):
            reap()
            free, all_done = _room(study, total)
            if all_done:
                break
            trial = _ask(study, total) if free else None
            if trial is None:
                time.sleep(random.uniform(0.05, 0.5))
                continue
            with _beating(study, _compat.frozen(trial), heartbeat_interval):
                end = _run(study, trial, objective, stop)
            in_a_row = in_a_row + 1 if end == "failed" else 0
            outcome = replace(outcome, **{end: getattr(outcome, end) + 1})
            if callback is not None:
                callback(study, copy.deepcopy(_compat.frozen(trial)))
    return replace(outcome, signal=stop.signal)


def _limits(total: int | None, timeout: float | None, max_failures: int) -> _Limits:
    if total is not None and total < 1:
        raise ValueError(f"total is {total!r}, but it must be at least 1 or None.")
    if max_failures < 1:
        raise ValueError(f"max_failures is {max_failures!r}, but it must be at least 1.")
    if timeout is not None and timeout <= 0:
        raise ValueError(f"timeout is {timeout!r}, but it must be positive or None.")
    ends = float("inf") if timeout is None else time.monotonic() + timeout
    return _Limits(total, ends, max_failures)
