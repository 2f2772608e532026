"""Settings that every test shares."""

import signal
from pathlib import Path

import optuna
import pytest

from optuna_de._files import warn_once

pytest.register_assert_rewrite("tests.databases")  # a plugin that test files import from, too
optuna.logging.set_verbosity(optuna.logging.WARNING)

# A shell's background jobs inherit an ignored Ctrl-C, and so would the processes tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep decoded images out of the user's cache; return the folder that is used instead."""
    folder = tmp_path_factory.mktemp("cache") / "images"
    monkeypatch.setenv("OPTUNA_DE_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def fresh_warnings() -> None:
    """Let each test see the warnings that a process logs once."""
    warn_once.cache_clear()
