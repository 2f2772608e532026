"""Studies, checkpoints and models that version 0.1.0 stored still load and go on as they would."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from optuna_de import DESampler, open_storage, optimize
from optuna_de.cnn import render
from optuna_de.cnn.evaluation import read_result
from optuna_de.cnn.export.model_folder import load_model
from optuna_de.cnn.search import Search, work

HERE = Path(__file__).parent
EXPECTED: dict[str, Any] = json.loads((HERE / "expected.json").read_text())
DIGITS, FLAT = EXPECTED["digits"], EXPECTED["flat"]


@pytest.fixture
def search(tmp_path: Path) -> Search:
    shutil.copy(HERE / "digits.sqlite3", tmp_path / "digits.sqlite3")
    shutil.copytree(HERE / "artifacts", tmp_path / "artifacts")
    return Search(
        storage=f"sqlite:///{tmp_path}/digits.sqlite3",
        epochs=4,
        subset=600,
        max_parameters=3000,
        population=12,
        seed=1,
        device="cpu",
        artifacts=tmp_path / "artifacts",
    )


def opened(search: Search) -> optuna.Study:
    """Load the study without heartbeat, so that nothing in it is taken for dead."""
    storage = open_storage(search.storage, heartbeat_interval=None)
    return optuna.load_study(study_name="digits-modern", storage=storage)


def test_a_search_asks_for_what_it_would_have_asked_for(search: Search) -> None:
    """Unscreened: a model's choice depends on the rounding of the machine."""
    study, blind = opened(search), replace(search, screening=False)
    study.sampler = blind.sampler()
    for row in DIGITS["asks"]["screening False"]:
        trial = study.ask()
        assert render(blind.space.suggest(trial)) == row["network"]
        assert (trial.number, trial.params) == (row["number"], row["params"])


def test_a_dead_workers_trial_goes_on_from_its_checkpoint(search: Search) -> None:
    path = search.storage.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as db, db:  # dead for longer than any grace period
        db.execute("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'")
    expected = DIGITS["goes on"]
    longer = replace(search, trials=expected["trials"])
    assert work(longer, longer.study(longer.objective())) == 0
    trials = opened(search).get_trials(deepcopy=False)
    assert [t.state.name for t in trials] == expected["states"]
    assert [t.user_attrs.get("architecture") for t in trials] == expected["networks"]
    curve = trials[-1].user_attrs["curve"]
    assert curve[:2] == expected["last"]["curve"][:2]  # the epochs of the killed worker
    assert len(curve) == len(expected["last"]["curve"])


def flat_study(tmp_path: Path, *, adaptive: bool) -> optuna.Study:
    shutil.copy(HERE / "flat.journal", tmp_path / "flat.journal")
    return optuna.load_study(
        study_name="flat",
        storage=open_storage(f"journal://{tmp_path}/flat.journal"),
        sampler=DESampler(seed=FLAT["seed"], adaptive=adaptive),
    )


def flat_objective(trial: optuna.Trial) -> tuple[float, float]:
    boxes = {"x0": (0.0, 1.0), "x1": (-5.0, 5.0), "x2": (0.0, 1.0)}
    x = [trial.suggest_float(name, *box) for name, box in boxes.items()]
    n = trial.suggest_int("n", 1, 100, log=True)
    return (x[0] - 0.3) ** 2 + x[1] ** 2 / 25 + n / 100, x[0] + x[2] - abs(x[1]) / 5


def test_a_journal_of_numbers_goes_on_as_it_would_have(tmp_path: Path) -> None:
    """By the rule of 0.1.0; the default rule of today draws other numbers."""
    study = flat_study(tmp_path, adaptive=False)
    optimize(study, flat_objective, total=30)
    trials = study.get_trials(deepcopy=False)[20:]
    assert [t.params for t in trials] == [row["params"] for row in FLAT["next"]]
    assert [t.values for t in trials] == [row["values"] for row in FLAT["next"]]


def test_a_journal_of_numbers_goes_on_by_the_rule_of_today(tmp_path: Path) -> None:
    study = flat_study(tmp_path, adaptive=True)
    optimize(study, flat_objective, total=30)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 30


def test_a_finished_training_is_read(tmp_path: Path) -> None:
    result = read_result(HERE / "trained")
    assert result is not None
    assert result["setup"]["architecture"] == "B8k3-MP-D8k3-GAP"
    model = load_model(HERE / "trained")
    assert render(model.genome) == "B8k3-MP-D8k3-GAP"
