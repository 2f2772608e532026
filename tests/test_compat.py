"""Private names of Optuna: each does what its docstring says, on whatever Optuna is installed."""

from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from optuna_de import _compat


def _study(storage: str | None = None) -> optuna.Study:
    return optuna.create_study(storage=storage, directions=["minimize", "minimize"])


@pytest.fixture(params=["memory", "sqlite", "journal"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.Study:
    if request.param == "journal":
        backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "a.log"))
        storage = optuna.storages.JournalStorage(backend)
        return optuna.create_study(storage=storage, directions=["minimize", "minimize"])
    return _study(f"sqlite:///{tmp_path}/a.db" if request.param == "sqlite" else None)


def test_trials_ids_and_states(study: optuna.Study) -> None:
    study.enqueue_trial({"x": 1.0})
    queued, other = study.ask(), study.ask()
    assert (_compat.is_queued(queued), _compat.is_queued(other)) == (True, False)
    queued.suggest_float("x", 0, 2)
    _compat.set_system_attr(study, other, "key", 7)
    assert _compat.frozen(other).system_attrs["key"] == 7
    study.tell(queued, (0.0, 1.0))
    assert _compat.set_state(study, _compat.frozen(other), TrialState.FAIL)
    assert not _compat.set_state(study, _compat.frozen(queued), TrialState.FAIL)
    for trials in (_compat.trials_of(study), _compat.fresh_trials_of(study)):
        assert [t.number for t in trials] == [0, 1]
    storage, number = _compat.study_key(study)
    assert [t.number for t in storage.get_all_trials(number)] == [0, 1]
    assert _compat.given_name(study.study_name) == ""
    assert not _compat.is_deleted(study)
    optuna.delete_study(study_name=study.study_name, storage=storage)
    assert _compat.is_deleted(study)


def test_stop_in_a_loop_of_ours() -> None:
    study = _study()
    with _compat.looping(study) as stopped:
        assert not stopped()
        study.stop()
        assert stopped()


def test_values_and_volumes() -> None:
    losses = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert _compat.is_on_front(losses).tolist() == [True, True, False]
    assert _compat.hypervolume(losses[:2], np.array([2.0, 2.0])) == 3
    assert _compat.unusable_values(_study(), [1.0, 2.0]) is None
    assert _compat.unusable_values(_study(), [1.0]) is not None


def test_an_unknown_optuna_is_said_in_one_sentence() -> None:
    said = str(_compat.lacks_private_name(ImportError("cannot import name 'x'")))
    assert said.count("\n") == 0
    assert optuna.__version__ in said
    assert _compat.KNOWN in said
