"""Launchers that start at the same moment: rows F40 and F41 of the fault list."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from optuna_de.cnn.search.search import Search
from optuna_de.cnn.study.setup import SETUP_KEY, check_setup
from optuna_de.storage import lock
from optuna_de.storage.open_storage import open_storage
from optuna_de.storage.stale_trials import Watch
from tests.drills import DRILL, POSIX
from tests.faults import storage_worker

pytest_plugins = ["tests.databases"]
pytestmark = [
    POSIX,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
KINDS = [pytest.param("sqlite", marks=DRILL), "journal", "postgres"]
LAUNCHERS = 4
FIRST = ("B8k3-MP-GAP", "B9k3-MP-GAP", "B10k3-MP-GAP")
Urls = dict[str, tuple[str, str]]
Answers = dict[str, tuple[str, str]]
"""What each kind of storage answered: to an own setup, to a warm start; "" or a refusal."""


@pytest.fixture(name="urls", scope="module")
def fixture_urls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Urls:
    """URLs of two empty storages of each kind, of PostgreSQL where it is installed."""
    folder = tmp_path_factory.mktemp("launchers")
    kinds = ["journal", *(["sqlite"] if "DRILLS" in os.environ else [])]
    urls = {k: (f"{k}:///{folder}/1.study", f"{k}:///{folder}/2.study") for k in kinds}
    with suppress(pytest.skip.Exception):
        server = request.getfixturevalue("postgres")
        urls["postgres"] = (server.database(), server.database())
    return urls


@pytest.fixture(name="answers", scope="module")
def fixture_answers(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> list[Answers]:
    """The answers that each launcher got; those of one start serve all tests.

    A launcher is a thread with storages of its own: what keeps launchers apart is in the
    storage, and a process of its own would need seconds to start.
    """
    folder, barrier = tmp_path_factory.mktemp("files"), threading.Barrier(LAUNCHERS)
    search = Search(artifacts=folder, subset=150, population=4, device="cpu", epochs=1)

    def launch(epochs: int) -> Answers:
        own = replace(search, epochs=epochs)
        warm = replace(search, warm_start=FIRST)
        return {k: (join(own, a, barrier), join(warm, b, barrier)) for k, (a, b) in urls.items()}

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(LAUNCHERS) as pool:
        patch.setattr(optuna.Study, "get_trials", slowly(optuna.Study.get_trials))
        patch.setattr(Search, "open", lambda self: closed_later(self.storage))
        return list(pool.map(launch, range(1, LAUNCHERS + 1), timeout=storage_worker.PATIENCE))


def slowly(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return a read after which others have time to write: whoever reads, then writes, loses."""

    def slow(*args: Any, **kwargs: Any) -> Any:
        record = read(*args, **kwargs)
        time.sleep(0.5)
        return record

    return slow


def join(described: Search, url: str, barrier: threading.Barrier) -> str:
    """Join the study of a storage when all launchers are ready; return a refusal, or ""."""
    search = replace(described, storage=url)
    objective = search.objective()  # loaded before the others are waited for
    barrier.wait(storage_worker.PATIENCE)
    try:
        search.study(objective)
    except ValueError as error:
        return str(error)
    return ""


def closed_later(url: str) -> optuna.storages.BaseStorage:
    """Open a storage that the end of the test closes."""
    storage = open_storage(url)
    storage_worker._opened.append(storage)
    return storage


def opened(url: str) -> optuna.Study:
    storage = closed_later(url)
    assert optuna.get_all_study_names(storage) == ["digits-modern"]  # no lock is left
    return optuna.load_study(study_name="digits-modern", storage=storage)


@pytest.mark.parametrize("kind", KINDS)
def test_f40_of_launchers_with_different_setups_one_joins(
    kind: str, urls: Urls, answers: list[Answers]
) -> None:
    if kind not in urls:
        pytest.skip(f"no {kind} here")
    messages = [answer[kind][0] for answer in answers]
    refusals = [text for text in messages if text]
    assert len(refusals) == LAUNCHERS - 1, messages
    joined = messages.index("") + 1
    assert opened(urls[kind][0]).user_attrs[SETUP_KEY]["epochs"] == joined
    for text in refusals:
        assert re.fullmatch(
            rf"Study 'digits-modern' in .* uses epochs {joined}, not \d\. Give the same "
            r"value, or choose another --study-name\.",
            text,
        )


@pytest.mark.parametrize("kind", KINDS)
def test_f41_launchers_queue_a_warm_start_once(
    kind: str, urls: Urls, answers: list[Answers]
) -> None:
    if kind not in urls:
        pytest.skip(f"no {kind} here")
    assert [answer[kind][1] for answer in answers] == [""] * LAUNCHERS
    trials = opened(urls[kind][1]).get_trials(states=(TrialState.WAITING,))
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


def test_a_renewed_lock_outlives_a_long_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the scoring of a large test split, which two machines would else both do."""
    storage = closed_later(f"sqlite:///{tmp_path}/study.db")
    clock, watch = [0.0], Watch()
    monkeypatch.setattr("optuna_de.storage.stale_trials.time.monotonic", lambda: clock[0])
    with lock.locked(storage, "s") as still_held:
        (name,) = optuna.get_all_study_names(storage)
        held = storage.get_study_id_from_name(name)
        for beat, alive in ((None, True), (1, True), (1, False)):
            if beat:
                storage.set_study_user_attr(held, lock._BEAT, beat)
            lock._break(storage, name, watch)
            assert still_held() == alive
            clock[0] += lock.STALE + 1


def test_a_renewed_lock_shows_that_its_holder_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = closed_later(f"sqlite:///{tmp_path}/study.db")
    monkeypatch.setattr(lock, "STALE", 0.04)
    before, end = threading.active_count(), time.monotonic() + storage_worker.PATIENCE
    with lock.locked(storage, "s", renewed=True):
        held = storage.get_study_id_from_name(optuna.get_all_study_names(storage)[0])
        while lock._BEAT not in storage.get_study_user_attrs(held):
            assert time.monotonic() < end
            time.sleep(0.01)
    assert threading.active_count() == before
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
