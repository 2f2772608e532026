"""optimize(study, objective): a worker that shares a study with others and loses no trial.

Depends on Optuna only: ask, run, tell. Optuna distributes the work; this loop keeps the total over
all workers, drops the result of a trial that was declared dead, gives a trial back on a stop
signal, and stops when only failures come.
"""

from __future__ import annotations

import copy
import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import optuna
from optuna.exceptions import StorageInternalError, TrialPruned, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_de import _compat
from optuna_de._checks import require
from optuna_de.storage.stale_trials import Reaper
from optuna_de.worker.ask_tell import (
    DONE,
    abandon,
    ask,
    give_back,
    has_room,
    is_done,
    refuse_endless,
    refuse_unusable,
    tell,
)
from optuna_de.worker.heartbeat import beating
from optuna_de.worker.signals import GiveBack, Stop, handling

Objective = Callable[[Trial], float | Sequence[float]]
Callback = Callable[[optuna.Study, FrozenTrial], None]
_logger = logging.getLogger(__name__)


class TooManyFailuresError(RuntimeError):
    """The objective failed so often in a row that going on is pointless."""


class StudyDeletedError(RuntimeError):
    """The study was deleted while a worker ran; there is nothing left to store a result in."""


@dataclass(frozen=True)
class Outcome:
    """Counts of the trials of one worker, and the signal that ended it (0 for none)."""

    finished: int = 0
    failed: int = 0
    dropped: int = 0
    given_back: int = 0
    signal: int = 0


@dataclass(frozen=True)
class _Limits:
    total: int | None
    ends: float
    max_failures: int


@dataclass(frozen=True)
class _Progress:
    """Counts so far, and failures in a row of trials that did not come from the queue."""

    outcome: Outcome = field(default_factory=Outcome)
    in_a_row: int = 0

    def after(self, end: str, queued: bool) -> _Progress:
        """Return the counts after one more trial, given the field of `Outcome` it counts for."""
        counts = replace(self.outcome, **{end: getattr(self.outcome, end) + 1})
        if end != "failed":
            return _Progress(counts)
        # Whoever queued a trial chose it, so its failure says nothing about the objective.
        return _Progress(counts, self.in_a_row + (not queued))


def optimize(
    study: optuna.Study,
    objective: Objective,
    *,
    total: int | None = None,
    timeout: float | None = None,
    max_failures: int = 10,
    grace: float = 10.0,
    heartbeat_interval: float = 30.0,
    callback: Callback | None = None,
) -> Outcome:
    """Work on a study until it is done, as one of any number of workers.

    A worker starts a trial while fewer than `total` trials are finished (COMPLETE, PRUNED) or
    running. If several workers ask at once, those over the total put their trial back as WAITING.
    A worker without work stays until all trials are finished, so that it can take over trials of
    workers that die. Failures do not count towards `total`. ``study.stop()`` ends this worker as
    it ends ``Study.optimize``.

    Args:
        study: A study in a storage from `open_storage`.
        objective: Called with a trial. An `Exception` fails the trial, and so does a value that
            is no number, or infinitely good. ``sys.exit()`` ends the worker; the trial is queued
            again as after a death.
        total: Finished trials over all workers and all time, at least 1; None for no limit.
        timeout: Seconds after which this worker starts no trial, above 0; None for no limit.
        max_failures: Consecutive failed trials after which this worker stops, at least 1. Trials
            that someone queued do not count.
        grace: Seconds, at least 0, from a stop signal (Ctrl-C, SIGTERM, SIGHUP) until the
            objective is interrupted by `GiveBack`; a second signal interrupts at once.
        heartbeat_interval: Seconds, above 0, between signs of life where the storage has no
            heartbeat of its own; four of them without a sign make a trial dead.
        callback: Called with the study and each trial that this worker ended.

    Returns:
        The counts of this worker. The caller exits with 128 plus `signal` if that is not 0.

    Raises:
        ValueError: If an argument is out of range.
        TooManyFailuresError: If `max_failures` trials in a row failed.
        StudyDeletedError: If the study was deleted meanwhile.
        optuna.exceptions.StorageInternalError: The storage was unreachable for minutes; another
            worker queues the trial again.

    Example:
        >>> study = optuna.create_study()
        >>> outcome = optimize(study, lambda trial: trial.suggest_float("x", -1, 1) ** 2, total=5)
        >>> outcome.finished
        5
    """
    limits = _limits(total, timeout, max_failures)
    require(grace >= 0, "grace", grace, "at least 0")
    require(heartbeat_interval > 0, "heartbeat_interval", heartbeat_interval, "above 0")
    stop, progress = Stop(grace), _Progress()
    reap = Reaper(study, 4 * heartbeat_interval)
    with noticing_deletion(study), handling(stop), _compat.looping(study) as stopped:
        while not stopped() and _may_go_on(progress, limits, stop):
            trials = _compat.fresh_trials_of(study)
            reap(trials)
            if is_done(trials, total):
                break
            trial = ask(study, total) if has_room(trials, total) else None
            if trial is None:
                time.sleep(random.uniform(0.05, 0.5))
                continue
            queued = _compat.is_queued(trial)
            with beating(study, trial, heartbeat_interval):
                end = _run(study, trial, objective, stop)
            progress = progress.after(end, queued)
            if callback is not None:
                callback(study, copy.deepcopy(_compat.frozen(trial)))
    return replace(progress.outcome, signal=stop.signal)


def _limits(total: int | None, timeout: float | None, max_failures: int) -> _Limits:
    require(total is None or total >= 1, "total", total, "at least 1 or None")
    require(timeout is None or timeout > 0, "timeout", timeout, "above 0 or None")
    require(max_failures >= 1, "max_failures", max_failures, "at least 1")
    ends = math.inf if timeout is None else time.monotonic() + timeout
    return _Limits(total, ends, max_failures)


@contextmanager
def noticing_deletion(study: optuna.Study) -> Iterator[None]:
    """Turn the errors of a storage that lost the study into one `StudyDeletedError`."""
    name = study.study_name
    try:
        yield
    except Exception as error:
        if _compat.is_deleted(study):
            raise StudyDeletedError(
                f"Study {name!r} was deleted while this worker ran."
            ) from error
        raise


def _may_go_on(progress: _Progress, limits: _Limits, stop: Stop) -> bool:
    if progress.in_a_row >= limits.max_failures:
        raise TooManyFailuresError(
            f"The last {progress.in_a_row} trials failed; the worker stops."
        )
    over = stop.signal or progress.outcome.given_back
    return not over and time.monotonic() < limits.ends


def _run(study: optuna.Study, trial: Trial, objective: Objective, stop: Stop) -> str:
    """Run one trial and tell it; return the field of `Outcome` that it counts for."""
    try:
        with stop.interrupting():
            values = objective(trial)
        refuse_unusable(study, values)
        refuse_endless(study, values)
    except TrialPruned:
        return _count(trial, tell(study, trial, state=TrialState.PRUNED))
    except (GiveBack, KeyboardInterrupt):
        give_back(study, trial)
        return "given_back"
    except UpdateFinishedTrialError:
        return _count(trial, None)
    except StorageInternalError:
        raise
    except Exception as error:
        return _count(trial, _fail(study, trial, error))
    except BaseException:
        abandon(study, trial)
        raise
    state = tell(study, trial, values)
    if state == TrialState.COMPLETE:
        _compat.log_completed(study, trial)
    return _count(trial, state)


def _fail(study: optuna.Study, trial: Trial, error: Exception) -> TrialState | None:
    if _compat.is_deleted(study):
        raise error
    _logger.warning("Trial %d failed: %s: %s", trial.number, type(error).__name__, error)
    return tell(study, trial, state=TrialState.FAIL)


def _count(trial: Trial, state: TrialState | None) -> str:
    if state is None:
        _logger.warning(
            "Trial %d was declared dead and queued again; this result is dropped.", trial.number
        )
        return "dropped"
    return "finished" if state in DONE else "failed"
