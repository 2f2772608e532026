"""One turn of a worker in a shared study: ask within the total, tell, or give back."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Sequence
from typing import SupportsFloat

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_de import _compat
from optuna_de.storage.stale_trials import Requeue, is_duplicate

DONE = (TrialState.COMPLETE, TrialState.PRUNED)
_UNBOUNDED = 1_000_000


def is_done(trials: Sequence[FrozenTrial], total: int | None) -> bool:
    """Tell whether a study of these trials has its total of finished ones."""
    return total is not None and sum(t.state in DONE for t in trials) >= total


def has_room(trials: Sequence[FrozenTrial], total: int | None, mine: int = -1) -> bool:
    """Tell whether a trial may start; `mine` is the number of one just asked."""
    if total is None:
        return True
    taken = (t for t in trials if t.number != mine or t.state in DONE)
    return sum(t.state in (*DONE, TrialState.RUNNING) for t in taken) < total


def ask(study: optuna.Study, total: int | None) -> Trial | None:
    """Ask for a trial, or put it back untouched where workers that asked at once overshoot."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
        trial = study.ask()
    trials = _compat.fresh_trials_of(study)
    frozen = trials[trial.number]
    if is_duplicate(trials, frozen):
        _compat.set_state(study, frozen, TrialState.FAIL)
        return None
    if has_room(trials, total, trial.number):
        return trial
    _compat.set_state(study, frozen, TrialState.WAITING)
    return None


def refuse_endless(study: optuna.Study, values: object) -> None:
    """Refuse an infinitely good value: no trial could ever beat it.

    Raises:
        ValueError: a value is -inf where it is minimised, or inf where it is maximised.
    """
    several = values if isinstance(values, Sequence) else [values]
    for value, direction in zip(several, study.directions, strict=False):
        best = -math.inf if direction == StudyDirection.MINIMIZE else math.inf
        if isinstance(value, SupportsFloat) and float(value) == best:
            raise ValueError(f"A value is {value}, but must not be infinitely good.")


def give_back(study: optuna.Study, trial: Trial) -> None:
    """Queue the clone, then fail the trial: a death in between repeats, but never loses."""
    now = copy.deepcopy(_compat.frozen(trial))
    if now.state == TrialState.RUNNING:
        Requeue(max_retry=_UNBOUNDED)(study, now)
        _compat.set_state(study, now, TrialState.FAIL)


def tell(
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
