"""Private names of Optuna: trials, ids, states, attributes and heartbeats of a study's storage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

KNOWN = "5.0"
"""Versions of Optuna with which all of these names are known to work."""


def lacks_private_name(error: ImportError | AttributeError) -> ImportError:
    """Return the error of an Optuna that lacks a private name, in one sentence."""
    return ImportError(
        f"Optuna {optuna.__version__} lacks a name that optuna_de uses ({error}); optuna_de is "
        f"known to work with Optuna {KNOWN}.",
        name="optuna",
    )


try:
    from optuna._hypervolume import compute_hypervolume
    from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
    from optuna.storages._cached_storage import _CachedStorage
    from optuna.storages._heartbeat import BaseHeartbeat, is_heartbeat_enabled
    from optuna.storages.journal._storage import JournalStorageReplayResult
    from optuna.study._multi_objective import _is_pareto_front
    from optuna.study._tell import _check_values_are_feasible

    _METHODS = (optuna.Study._get_trials, BaseHeartbeat._get_stale_trial_ids)
except (ImportError, AttributeError) as _error:
    raise lacks_private_name(_error) from _error


def trials_of(study: optuna.Study) -> Sequence[FrozenTrial]:
    """Return all trials of a study by number, without copies, by one storage read per ask.

    Those in memory are the storage's own list, which grows while it is read.

    Hyperband hands samplers a view of the study; the view's own cache would read anew each time.
    """
    whole = getattr(study, "_study", study)
    storage, study_id = study_key(whole)
    if isinstance(storage, optuna.storages.InMemoryStorage):
        return storage._studies[study_id].trials  # a copy would touch every trial at every ask
    local = whole._thread_local
    if local.cached_all_trials is None:
        local.cached_all_trials = _read_by_ask(storage, study_id)
    return whole._get_trials(deepcopy=False, use_cache=True)


def _read_by_ask(storage: optuna.storages.BaseStorage, study_id: int) -> list[FrozenTrial] | None:
    """Return what `ask` read when it looked for waiting trials, where the storage has kept it.

    What follows a trial that another process began between that read and this is left out.
    """
    if isinstance(storage, optuna.storages.GrpcStorageProxy):
        known = storage._cache.studies[study_id].trials.copy()
    elif isinstance(storage, _CachedStorage):
        known = storage._studies[study_id].trials.copy()
    else:
        return None
    return [known[number] for number in takewhile(known.__contains__, range(len(known)))]


def study_key(study: optuna.Study) -> tuple[optuna.storages.BaseStorage, int]:
    """Return the storage of a study and the id of the study."""
    return study._storage, study._study_id


def given_name(study_name: str) -> str:
    """Return a study's name, empty where Optuna made it up: no such name comes twice."""
    return "" if study_name.startswith(DEFAULT_STUDY_NAME_PREFIX) else study_name


def trial_id(trial: FrozenTrial | optuna.Trial) -> int:
    """Return the id of a trial in its storage."""
    return trial._trial_id


def set_system_attr(
    study: optuna.Study, trial: FrozenTrial | optuna.Trial, key: str, value: Any
) -> None:
    """Write a system attribute of a trial to the study's storage."""
    study._storage.set_trial_system_attr(trial._trial_id, key, value)


def heartbeat_of(study: optuna.Study) -> BaseHeartbeat | None:
    """Return the storage of a study if it records heartbeats, else None."""
    storage = study._storage
    if isinstance(storage, BaseHeartbeat) and is_heartbeat_enabled(storage):
        return storage
    return None


def set_state(study: optuna.Study, trial: FrozenTrial, state: TrialState) -> bool:
    """Move an unfinished trial to a state; False where another process came first."""
    try:
        return study._storage.set_trial_state_values(trial._trial_id, state)
    except optuna.exceptions.UpdateFinishedTrialError:
        return False


def release_session(study: optuna.Study) -> None:
    """Return this thread's connection to the pool (Optuna asks for it per thread)."""
    study._storage.remove_session()


def fresh_trials_of(study: optuna.Study) -> Sequence[FrozenTrial]:
    """Return all trials of a study by number, read from the storage now, without copies."""
    return study._get_trials(deepcopy=False, use_cache=False)


def frozen(trial: optuna.Trial) -> FrozenTrial:
    """Return a trial as the storage of its study holds it now."""
    return trial.storage.get_trial(trial._trial_id)


@contextmanager
def looping(study: optuna.Study) -> Iterator[Callable[[], bool]]:
    """Let `study.stop()` work in a loop of ours; yields whether it was called.

    A loop inside another one of the same thread stops itself alone.
    """
    local = study._thread_local
    nested, outer_flag = local.in_optimize_loop, study._stop_flag
    local.in_optimize_loop, study._stop_flag = True, False
    try:
        yield lambda: study._stop_flag
    finally:
        local.in_optimize_loop = nested
        if nested:
            study._stop_flag = outer_flag


def is_queued(trial: optuna.Trial) -> bool:
    """Return whether a trial just asked came from the queue, before anything is suggested."""
    return bool(trial._fixed_params or trial._cached_frozen_trial.params)


def is_deleted(study: optuna.Study) -> bool:
    """Return whether the study is gone; a storage that does not answer has it still."""
    try:
        study._storage.get_study_user_attrs(study._study_id)  # never answered from a cache
    except KeyError:
        return True
    except Exception:
        return False
    return False


def wrap_channel(proxy: optuna.storages.GrpcStorageProxy, wrap: Callable[[Any], Any]) -> None:
    """Send a proxy's requests through its channel as `wrap` returns it."""
    from optuna.storages._grpc.auto_generated import api_pb2_grpc
    from optuna.storages._grpc.client import GrpcClientCache

    channel = wrap(proxy._channel)
    proxy._stub = api_pb2_grpc.StorageServiceStub(channel)  # type: ignore[no-untyped-call]
    proxy._cache = GrpcClientCache(proxy._stub)


def is_on_front(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of ``(n, m)`` losses no other dominates; equals do not dominate each other."""
    return _is_pareto_front(losses, assume_unique_lexsorted=False)


def hypervolume(front: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Return the volume between a front ``(n, m)`` of losses and a point none of it is beyond."""
    return float(compute_hypervolume(front, reference, assume_pareto=True))


def missing_creations(records: Iterable[dict[str, Any]]) -> tuple[bool, bool]:
    """Return whether a journal's records name a study, or a trial, that none of them creates.

    Both are numbered by the order of their creation, so the first such number shows the gap.
    """
    replay, studies, trials = JournalStorageReplayResult(""), False, False
    for record in records:
        studies = studies or record.get("study_id", -1) >= replay._next_study_id
        trials = trials or record.get("trial_id", -1) >= len(replay._trials)
        replay.apply_logs([record])
    return studies, trials


def unusable_values(study: optuna.Study, values: Any) -> str | None:
    """Return why a study cannot take the values of a trial; None if it can."""
    several = values if isinstance(values, Sequence) else [values]
    return _check_values_are_feasible(study, several)


def log_completed(study: optuna.Study, trial: optuna.Trial) -> None:
    """Log a finished trial as ``Study.optimize`` does, if Optuna's logger is at INFO."""
    finished = frozen(trial)
    if finished.values is not None:
        study._log_completed_trial(finished.values, finished.number, finished.params)
