"""Names of checkpoints: no two studies share one, and retries find theirs."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from optuna_de import _compat
from optuna_de.cnn.study.trials import CHECKPOINT_KEY, checkpoint_file
from optuna_de.storage.open_storage import open_storage
from optuna_de.worker.ask_tell import give_back
from tests.faults import storage_worker

pytest_plugins = ["tests.databases"]
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def ask(study: optuna.Study) -> optuna.Trial:
    return storage_worker.ask_quietly(study)[0]


def named(folder: Path, name: str = "digits-modern") -> optuna.Study:
    storage = open_storage(f"sqlite:///{folder}")
    storage_worker._opened.append(storage)
    return optuna.create_study(study_name=name, storage=storage)


def test_studies_of_one_name_that_share_a_folder_share_no_checkpoint(tmp_path: Path) -> None:
    files = {checkpoint_file(ask(named(tmp_path / f"{i}.db")), tmp_path) for i in range(2)}
    assert len(files) == 2


def test_a_retry_has_the_checkpoint_of_its_ancestors(tmp_path: Path) -> None:
    study = named(tmp_path / "study.db")
    first = ask(study)
    file = checkpoint_file(first, tmp_path)
    assert checkpoint_file(first, tmp_path) == file
    for _ in range(2):
        give_back(study, first)
        first = ask(study)
        assert checkpoint_file(first, tmp_path) == file
    assert checkpoint_file(ask(study), tmp_path) != file
    assert checkpoint_file(first, None) is None


def test_a_retry_finds_what_the_first_version_stored(tmp_path: Path) -> None:
    study = named(tmp_path / "study.db")
    old = tmp_path / f"{crc32(b'digits-modern'):08x}-3.pt"
    old.touch()
    for history in ([3], [3, 5]):
        attributes = {"retry_history": history}
        study.add_trial(create_trial(state=TrialState.WAITING, system_attrs=attributes))
        assert checkpoint_file(ask(study), tmp_path) == old
    numbers = [checkpoint_file(ask(study), tmp_path) for _ in range(3)]
    assert old not in numbers  # trial 3 of this program is none of that one's retries


@pytest.mark.parametrize("name", ["../../secret", "", 7, None, ["a"], "A" * 32])
def test_a_foreign_name_is_no_path(tmp_path: Path, name: object) -> None:
    study = named(tmp_path / "study.db")
    trial = ask(study)
    _compat.set_system_attr(study, trial, CHECKPOINT_KEY, name)
    file = checkpoint_file(trial, tmp_path)
    assert file is not None
    assert file.parent == tmp_path
    assert len(file.stem) == 32
    assert file.stem != name
