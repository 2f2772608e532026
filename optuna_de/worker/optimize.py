"""optimize(study, objective): a worker that shares a study with others and loses no trial.

Knows Optuna only: ask, run, tell. Optuna distributes the work; this loop keeps the total over
all workers, drops the result of a trial that was taken for dead, gives a trial back on SIGTERM
or Ctrl-C, and stops when only failures come.
"""

from __future__ import annotations

import copy
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import optuna
from optuna.exceptions import StorageInternalError, TrialPruned, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_de import _compat
from optuna_de.storage.stale_trials import Reaper
from optuna_de.worker.ask_tell import DONE, ask, give_back, has_room, is_done, refuse_endless, tell
from optuna_de.worker.heartbeat import beating
from optuna_de.worker.signals import GiveBack, Stop, handling

Objective = Callable[[Trial], float | Sequence[float]]
_logger = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class _Limits:
    total: int | None
    ends: float
    max_failures: int


def _run(study: optuna.Study, trial: Trial, objective: Objective, stop: Stop) -> str:
    """Run one trial and tell it; return the field of `Outcome` that it counts for."""
    try:
        with stop.interrupting():
            values = objective(trial)
        refuse_endless(study, values)
        state = tell(study, trial, values)
    except TrialPruned:
        state = tell(study, trial, state=TrialState.PRUNED)
    except (GiveBack, KeyboardInterrupt):
        give_back(study, trial)
        return "given_back"
    except UpdateFinishedTrialError:
        state = None
    except StorageInternalError:
        raise
    except Exception as error:
        _logger.warning("Trial %d failed: %s: %s", trial.number, type(error).__name__, error)
        state = tell(study, trial, state=TrialState.FAIL)
    if state is None:
        _logger.warning("Trial %d was taken for dead; its result is dropped.", trial.number)
        return "dropped"
    return "finished" if state in DONE else "failed"


def _may_go_on(outcome: Outcome, in_a_row: int, limits: _Limits, stop: Stop) -> bool:
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
        objective: called with a trial; an `Exception` fails the trial, and so does a value that
            is no number, or infinitely good.
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
    stop, outcome, in_a_row = Stop(grace), Outcome(), 0
    reap = Reaper(study, 4 * heartbeat_interval)
    with handling(stop):
        while _may_go_on(outcome, in_a_row, limits, stop):
            trials = _compat.fresh_trials_of(study)
            reap(trials)
            if is_done(trials, total):
                break
            trial = ask(study, total) if has_room(trials, total) else None
            if trial is None:
                time.sleep(random.uniform(0.05, 0.5))
                continue
            with beating(study, trial, heartbeat_interval):
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
