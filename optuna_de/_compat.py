"""Every private Optuna name the package touches, in one place (checked on Optuna 5.0)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial


def trials_of(study: optuna.Study) -> Sequence[FrozenTrial]:
    """Return all trials by number, without copies, from one storage read per asked trial.

    Hyperband hands samplers a view of the study; the view's own cache would read anew each time.
    """
    whole = getattr(study, "_study", study)
    return whole._get_trials(deepcopy=False, use_cache=True)


def study_key(study: optuna.Study) -> tuple[optuna.storages.BaseStorage, int]:
    """Return the storage of a study and the study's id in it."""
    return study._storage, study._study_id


def trial_id(trial: FrozenTrial) -> int:
    """Return the storage's id of a trial."""
    return trial._trial_id


def set_system_attr(study: optuna.Study, trial: FrozenTrial, key: str, value: Any) -> None:
    """Write a system attribute of a running trial, one storage transaction."""
    study._storage.set_trial_system_attr(trial._trial_id, key, value)
