"""Optuna's own cases for samplers on PostgreSQL and MariaDB: row F37 of the fault list.

A drill of minutes: ``DRILLS=1 pytest tests/faults/test_sampler.py``. Memory, SQLite and journals
are in ``test_sampler.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from optuna_de import DESampler
from optuna_de.storage.open_storage import open_storage
from tests.drills import DRILL

pytest_plugins = ["tests.databases"]
pytestmark = [
    DRILL,
    pytest.mark.filterwarnings("ignore:Heartbeat of storage:UserWarning"),
    pytest.mark.usefixtures("store"),
]


@pytest.fixture(params=["postgres", "mariadb"], scope="module")
def store(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let Optuna's cases, which create studies in memory, use a server."""
    storage = open_storage(request.getfixturevalue(request.param).database())
    create = optuna.create_study

    def on_store(**kwargs: Any) -> optuna.Study:
        return create(**{"storage": storage, **kwargs})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optuna, "create_study", on_store)
        patch.setattr(optuna.study, "create_study", on_store)
        yield
    storage.engine.dispose()  # type: ignore[attr-defined]


class TestOptunaCases(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return DESampler
