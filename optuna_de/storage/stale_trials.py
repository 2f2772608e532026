"""Stale trials: a watch finds those whose worker died, a reaper queues each again once.

Three writes make a trial new: mark it as owed (``OWED``), fail it, add its clone. Only one process
can fail a trial, so only one goes on to the clone; if it dies between, the mark on a failed trial
without a clone shows the debt, and any other process pays it. A clone keeps parameters and
attributes; its attribute ``retry_history`` names its ancestors, oldest first. Depends on Optuna
only.
"""

from __future__ import annotations

import contextlib
import copy
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from optuna_de import _compat

OWED = "optuna_de:v1:owed"
"""System attribute of a trial about to be failed as dead: its own number (clones inherit it)."""
BEAT = "optuna_de:v1:beat"
"""System attribute that a worker changes while its trial lives, where no heartbeat exists."""
PERIOD = 1.0
"""Seconds between two looks of one worker for dead trials, so that short trials stay cheap."""
MAX_RETRY = 3
"""How often a trial is queued again by default."""


class Watch:
    """Watch over trials: since when, on this process's clock, a key shows the same value."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[object, float]] = {}

    def overdue(self, now: Mapping[int, object], seconds: float) -> list[int]:
        """Return the keys of `now` whose value has not changed for `seconds`."""
        clock = time.monotonic()
        # since(key) = the first look that saw the present value; a new value starts again at now.
        kept = {key: seen for key, seen in self._seen.items() if now.get(key) == seen[0]}
        self._seen = {key: kept.get(key, (value, clock)) for key, value in now.items()}
        return [key for key, (_, since) in self._seen.items() if clock - since >= seconds]


@contextlib.contextmanager
def quietly_experimental() -> Iterator[None]:
    """Hide Optuna's notes on its experimental features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ExperimentalWarning)
        yield


def parent(trial: FrozenTrial) -> int | None:
    """Return the number of the trial that this one repeats, or None."""
    ancestors = ancestors_of(trial)
    return ancestors[-1] if ancestors else None


def ancestors_of(trial: FrozenTrial) -> list[int]:
    """Return the numbers of the trials that this one repeats after they went stale, oldest first.

    What another program wrote in their place counts as none.
    """
    history = trial.system_attrs.get("retry_history")
    numbers = history if isinstance(history, list) else []
    return [number for number in numbers if isinstance(number, int)]


class Requeue:
    """Queue a trial again, unless its clone exists or `max_retry` of its ancestors died.

    An ancestor that its own worker gave back did not die, so it uses up no retry.
    """

    def __init__(self, max_retry: int = MAX_RETRY) -> None:
        self._max_retry = max_retry
        with quietly_experimental():
            self._retry = RetryHeartbeatStaleTrialCallback()

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Add the clone as a waiting trial."""
        if self.wants(trial, _compat.fresh_trials_of(study)):
            dead = copy.deepcopy(trial)
            dead.system_attrs["retry_history"] = ancestors_of(trial)  # Optuna appends to it
            self._retry(study, dead)

    def wants(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
        """Tell whether a clone of the trial is missing, given all trials of the study."""
        ancestors = ancestors_of(trial)  # may name another study's
        # An ancestor that its own worker gave back failed too, but nobody marked it as owed.
        died = sum(other.number in ancestors and _is_owed(other) for other in trials)
        cloned = any(parent(other) == trial.number for other in trials)
        return died < self._max_retry and not cloned


def _is_owed(trial: FrozenTrial) -> bool:
    # A clone inherits the attribute, with its ancestor's number: that debt is paid.
    return bool(trial.system_attrs.get(OWED) == trial.number)


def _requeue_of(study: optuna.Study) -> Requeue:
    heartbeat = _compat.heartbeat_of(study)
    callback = heartbeat.get_heartbeat_stale_trial_callback() if heartbeat else None
    return callback if isinstance(callback, Requeue) else Requeue()


def is_duplicate(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> bool:
    """Return whether an older clone of the same parent exists: then this one is dropped."""
    older = trials[: trial.number] if parent(trial) is not None else ()
    return any(parent(o) == parent(trial) for o in older)


def reap(study: optuna.Study, trial: FrozenTrial) -> bool:
    """Mark, fail and re-queue one trial; False where another process came first."""
    try:  # The mark comes first: nothing can be written to a trial that has failed.
        _compat.set_system_attr(study, trial, OWED, trial.number)
    except UpdateFinishedTrialError:
        return False
    if not _compat.set_state(study, trial, TrialState.FAIL):
        return False
    _requeue_of(study)(study, trial)
    return True


def _unpaid(study: optuna.Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return failed trials whose reaper died before it queued the clone."""
    requeue = _requeue_of(study)
    owed = (t for t in trials if t.state == TrialState.FAIL and _is_owed(t))
    return [t for t in owed if requeue.wants(t, trials)]


def _running(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [t for t in trials if t.state == TrialState.RUNNING]


def requeue_stale(study: optuna.Study, *, older_than: float) -> list[int]:
    """Fail and re-queue dead trials once, now.

    With heartbeats, a trial is dead when its heartbeat is older than the storage's grace period
    (by the database's clock). Without, when it started more than `older_than` seconds ago by
    this machine's clock, so choose more than the longest trial. A trial that was failed as dead
    by a reaper that died itself is queued too.

    Returns:
        Numbers of the trials that this call failed or queued.
    """
    running = _running(_compat.fresh_trials_of(study))
    if _compat.heartbeat_of(study) is not None:
        with quietly_experimental():
            optuna.storages.fail_stale_trials(study)
        left = {t.number for t in _running(_compat.fresh_trials_of(study))}
        done = [t.number for t in running if t.number not in left]
    else:
        limit = datetime.now() - timedelta(seconds=older_than)
        old = [t for t in running if t.datetime_start and t.datetime_start < limit]
        done = [t.number for t in old if reap(study, t)]
    unpaid = _unpaid(study, _compat.fresh_trials_of(study))
    return done + [t.number for t in _pay(study, unpaid)]


def _pay(study: optuna.Study, trials: list[FrozenTrial]) -> list[FrozenTrial]:
    for trial in trials:
        _requeue_of(study)(study, trial)
    return trials


class Reaper:
    """Reaper of a worker: a trial without a new beat for `grace` seconds is stale.

    The seconds pass on this process's monotonic clock, so wrong clocks of machines do not matter.
    """

    def __init__(self, study: optuna.Study, grace: float) -> None:
        self._study, self._grace = study, grace
        self._period, self._next = min(PERIOD, grace / 2), 0.0
        self._beats, self._debts = Watch(), Watch()

    def __call__(self, trials: Sequence[FrozenTrial]) -> None:
        """Fail and re-queue the dead trials, and the failed ones that still lack a clone."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._period
        if _compat.heartbeat_of(self._study) is not None:
            with quietly_experimental():
                optuna.storages.fail_stale_trials(self._study)
        else:
            running = {t.number: t for t in _running(trials)}
            beats = {number: t.system_attrs.get(BEAT) for number, t in running.items()}
            for number in self._beats.overdue(beats, self._grace):
                reap(self._study, running[number])
        # A debt is young while its reaper, which may live, is about to add the clone; paid at
        # once, it would be paid twice. Of two clones made after a grace, `is_duplicate` drops one.
        debts = {t.number: t for t in _unpaid(self._study, trials)}
        due = self._debts.overdue(dict.fromkeys(debts, "owed"), self._grace)
        _pay(self._study, [debts[number] for number in due])
