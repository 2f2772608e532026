"""One turn of a worker in a shared study: ask within the total, tell, or give back."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import SupportsFloat

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_de import _compat
from optuna_de.storage.stale_trials import Requeue, is_duplicate, parent, reap

_logger = logging.getLogger(__name__)
DONE = (TrialState.COMPLETE, TrialState.PRUNED)
_UNBOUNDED = 1_000_000


def is_done(trials: Sequence[FrozenTrial], total: int | None) -> bool:
    """Return whether these trials reach the total of finished ones."""
    return total is not None and sum(t.state in DONE for t in trials) >= total


def has_room(trials: Sequence[FrozenTrial], total: int | None, mine: int = -1) -> bool:
    """Return whether a trial may start; `mine` is the number of one just asked."""
    if total is None:
        return True
    taken = (t for t in trials if t.number != mine or t.state in DONE)
    return sum(t.state in (*DONE, TrialState.RUNNING) for t in taken) < total


def ask(study: optuna.Study, total: int | None) -> Trial | None:
    """Ask for a trial, or put it back if several workers asked at once and exceed the total."""
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


def refuse_unusable(study: optuna.Study, values: object) -> None:
    """Refuse values that are no numbers, or not as many as the objectives.

    Raises:
        ValueError: If they are, with Optuna's sentence.
    """
    reason = _compat.unusable_values(study, values)
    if reason is not None:
        raise ValueError(reason)


def refuse_endless(study: optuna.Study, values: object) -> None:
    """Refuse an infinitely good value: no trial could ever beat it.

    Raises:
        ValueError: If a value is -inf where it is minimised, or inf where it is maximised.
    """
    several = values if isinstance(values, Sequence) else [values]
    for value, direction in zip(several, study.directions, strict=False):
        best = -math.inf if direction == StudyDirection.MINIMIZE else math.inf
        if isinstance(value, SupportsFloat) and float(value) == best:
            raise ValueError(
                f"The objective returned {value}, but every value must be finite in the "
                "direction that is optimised."
            )


def give_back(study: optuna.Study, trial: Trial) -> None:
    """Queue the clone, then fail the trial: a death in between repeats, but never loses.

    Dashboards show a failed trial, as Optuna has no state for it; its attribute ``reason`` names
    the trial that repeats it.
    """
    now = copy.deepcopy(_compat.frozen(trial))
    if now.state == TrialState.RUNNING:
        Requeue(max_retry=_UNBOUNDED)(study, now)
        clone = next(t for t in _compat.fresh_trials_of(study) if parent(t) == now.number)
        with suppress(UpdateFinishedTrialError):  # a reaper may have come first
            trial.set_user_attr("reason", f"given back; trial {clone.number} repeats it")
        _compat.set_state(study, now, TrialState.FAIL)


def abandon(study: optuna.Study, trial: Trial) -> None:
    """Do at once what others do for a trial whose worker died: fail it, queue it a few times."""
    now = copy.deepcopy(_compat.frozen(trial))
    if now.state == TrialState.RUNNING:
        reap(study, now)


def tell(
    study: optuna.Study,
    trial: Trial,
    values: float | Sequence[float] | None = None,
    state: TrialState | None = None,
) -> TrialState | None:
    """Tell a result; None if the trial was declared dead meanwhile and the result is dropped."""
    if _compat.frozen(trial).state != TrialState.RUNNING:
        return None
    try:
        return study.tell(trial, values, state=state).state
    except UpdateFinishedTrialError:
        return None
    except StorageInternalError:
        raise
    except Exception as error:
        return _stored_despite(trial, error)


def _stored_despite(trial: Trial, error: Exception) -> TrialState:
    """Return the state of a trial that Optuna stored although its sampler failed after it."""
    state = _compat.frozen(trial).state
    if not state.is_finished():
        raise error
    text = f"{type(error).__name__}: {error}"
    _logger.warning("Trial %d is stored, but the sampler failed after it: %s", trial.number, text)
    return state
