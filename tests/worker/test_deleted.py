"""A study that is deleted while a worker is at it: row F44 of the fault list."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import Trial

from optuna_de.worker import StudyDeletedError, optimize
from tests.faults import storage_worker

pytest_plugins = ["tests.databases"]
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
SENTENCE = "Study 's' was deleted while this worker ran."


def delete_elsewhere(study: optuna.Study) -> None:
    """Delete the study as another process would, whose caches are not this one's."""
    url = study.user_attrs.get("url")
    storage = study._storage if url is None else storage_worker.study_of(url)._storage
    optuna.delete_study(study_name="s", storage=storage)


def shared(url: str) -> optuna.Study:
    study = storage_worker.study_of(url)
    study.set_user_attr("url", url)
    return study


@pytest.fixture(name="study", params=["sqlite", "postgres", "journal", "memory"])
def fixture_study(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> optuna.Study:
    folder = tmp_path_factory.mktemp("study")
    if request.param == "memory":
        return optuna.create_study(study_name="s")
    if request.param == "postgres":
        return shared(request.getfixturevalue("postgres").database())
    return shared(f"{request.param}:///{folder}/study")


def test_f44_deleted_before_a_suggestion(
    study: optuna.Study, caplog: pytest.LogCaptureFixture
) -> None:
    def delete(trial: Trial) -> float:
        delete_elsewhere(trial.study)
        return trial.suggest_float("x", 0, 1)

    with pytest.raises(StudyDeletedError, match=SENTENCE):
        optimize(study, delete, total=2)
    assert not caplog.records


def test_f44_deleted_before_the_tell(study: optuna.Study) -> None:
    def delete(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        delete_elsewhere(trial.study)
        return x

    with pytest.raises(StudyDeletedError, match=SENTENCE):
        optimize(study, delete, total=2)


def test_f44_deleted_between_trials(study: optuna.Study) -> None:
    def delete(study: optuna.Study, _: object) -> None:
        delete_elsewhere(study)

    with pytest.raises(StudyDeletedError, match=SENTENCE):
        optimize(study, lambda trial: trial.suggest_float("x", 0, 1), total=2, callback=delete)


def test_another_key_error_is_not_taken_for_it(study: optuna.Study) -> None:
    def fail(*_: object) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        optimize(study, lambda trial: trial.suggest_float("x", 0, 1), total=2, callback=fail)
