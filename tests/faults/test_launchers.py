"""Launchers that start at the same moment: rows F40 and F41 of the fault list."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from optuna_de.cnn.study.setup import SETUP_KEY, check_setup
from optuna_de.storage import lock
from optuna_de.storage.open_storage import open_storage
from tests.drills import DRILL, POSIX
from tests.faults import launchers, storage_worker
from tests.faults.storage_worker import each

pytest_plugins = ["tests.databases"]
pytestmark = [
    POSIX,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
ROUNDS = 1


@pytest.fixture(name="urls", params=[pytest.param("sqlite", marks=DRILL), "journal", "postgres"])
def fixture_urls(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The URL of an empty storage for each round."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        return [server.database() for _ in range(ROUNDS)]
    return [f"{request.param}:///{tmp_path}/{i}.study" for i in range(ROUNDS)]


def opened(url: str) -> optuna.Study:
    storage = open_storage(url)
    storage_worker._opened.append(storage)
    assert optuna.get_all_study_names(storage) == ["digits-modern"]  # no lock is left
    return optuna.load_study(study_name="digits-modern", storage=storage)


def test_f40_of_launchers_with_different_setups_one_joins(urls: list[str], tmp_path: Path) -> None:
    inputs = [(urls, str(tmp_path / "files"), epochs) for epochs in (1, 2, 3, 4)]
    for url, messages in zip(urls, zip(*each(launchers.join, inputs), strict=True), strict=True):
        refusals = [text for text in messages if text]
        assert len(refusals) == 3, messages
        joined = messages.index("") + 1
        assert opened(url).user_attrs[SETUP_KEY]["epochs"] == joined
        for text in refusals:
            assert re.fullmatch(
                rf"Study 'digits-modern' in .* uses epochs {joined}, not \d\. Give the same "
                r"value, or choose another --study-name\.",
                text,
            )


def test_f41_launchers_queue_a_warm_start_once(urls: list[str], tmp_path: Path) -> None:
    inputs = [(urls, str(tmp_path / "files"), 1)] * 4
    assert each(launchers.warm, inputs) == [[""] * ROUNDS] * 4
    for url in urls:
        trials = opened(url).get_trials(states=(TrialState.WAITING,))
        queued = [str(sorted(t.system_attrs["fixed_params"].items())) for t in trials]
        assert len(queued) == len(set(queued)) == 3


def test_a_lock_whose_holder_died_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    storage_worker._opened.append(storage)
    monkeypatch.setattr(lock, "STALE", 0.3)
    held = lock.locked(storage, "s")
    still_held = held.__enter__()
    assert still_held()
    with lock.locked(storage, "s"):
        pass
    with lock.locked(storage, "another"):
        assert len(optuna.get_all_study_names(storage)) == 1
    assert not still_held()
    held.__exit__(None, None, None)
    assert not optuna.get_all_study_names(storage)


def test_f40_a_launcher_that_was_taken_for_dead_does_not_overwrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first holds the lock longer than it may; the second breaks it and records its setup."""
    url = f"sqlite:///{tmp_path}/study.db"
    monkeypatch.setattr(lock, "STALE", 0.3)
    first, second = (storage_worker.study_of(url) for _ in range(2))
    read, slow = optuna.Study.get_trials, threading.Event()

    def paused(self: optuna.Study, *args: Any, **kwargs: Any) -> Any:
        record = read(self, *args, **kwargs)
        if self is first and not slow.is_set():
            slow.set()
            time.sleep(2.0)
        return record

    monkeypatch.setattr(optuna.Study, "get_trials", paused)
    setups = {"objectives": "value", "epochs": 1}, {"objectives": "value", "epochs": 2}
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(check_setup, first, setups[0], "here")
        slow.wait(storage_worker.PATIENCE)
        check_setup(second, setups[1], "here")
        with pytest.raises(ValueError, match="uses epochs 2, not 1"):
            late.result(storage_worker.PATIENCE)
    assert second.user_attrs[SETUP_KEY]["epochs"] == 2
