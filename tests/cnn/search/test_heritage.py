"""Heritage: children start from stored weights, from scratch and told where those are missing."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import FrozenTrial

from optuna_de import DESampler
from optuna_de.cnn import CNNSpace, get_recipe, parse
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.search.fidelity import Fidelity
from optuna_de.cnn.search.heritage import find_weights, heritage_of, store_weights
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.sampler.plan import stored_plan
from optuna_de.worker.optimize import optimize
from tests.cnn.kit import digits

SPACE = CNNSpace((1, 8, 8), min_parameters=100)
RECIPE = replace(get_recipe("fast"), crop_padding=1, flip=False, batch_size=50)
DATA = digits(200, 100)
FIRST = 4


@pytest.fixture(autouse=True)
def fixture_one_thread() -> None:
    torch.set_num_threads(1)


def objective(folder: Path | None, **changes: Any) -> CNNObjective:
    return CNNObjective(
        DATA, SPACE, RECIPE, epochs=1, inheritance=True, artifacts=folder, **changes
    )


def searched(folder: Path, trials: int, **changes: Any) -> optuna.Study:
    sampler = DESampler(population_size=FIRST, space=SPACE, screening=False, seed=1)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler, study_name="s")
    optimize(study, objective(folder, **changes), total=trials)
    return study


def parents_of(trial: FrozenTrial) -> tuple[int, ...]:
    plan = stored_plan(trial)
    assert plan is not None
    return plan.parents


def test_children_start_from_their_best_parent_deterministically(tmp_path: Path) -> None:
    one, two = searched(tmp_path / "a", FIRST + 2), searched(tmp_path / "b", FIRST + 2)
    assert [t.values for t in one.trials] == [t.values for t in two.trials]
    for trial in one.trials:
        said = trial.user_attrs["inherited"]
        best = parents_of(trial)[:1]
        assert said.startswith(f"trial {best[0]}, " if best else "from scratch: no parent")
        state = find_weights(trial, tmp_path / "a")
        assert state is not None
        assert state["0.weight"].dtype == torch.bfloat16


def test_lost_weights_are_told_and_the_child_trains_from_scratch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    study = searched(tmp_path, FIRST)
    for file in tmp_path.iterdir():
        file.unlink()
    with caplog.at_level(logging.WARNING):
        optimize(study, objective(tmp_path), total=FIRST + 1)
    child = study.trials[-1]
    lost = f"from scratch: the weights of trial {parents_of(child)[0]} are missing"
    assert child.user_attrs["inherited"] == lost
    assert lost in caplog.text
    scratch = optuna.create_study(directions=["minimize"] * 2)
    scratch.enqueue_trial(child.params)
    optimize(scratch, replace(objective(tmp_path), inheritance=False), total=1)
    assert scratch.trials[0].values == child.values


def test_each_rung_goes_on_from_the_one_below(tmp_path: Path) -> None:
    ladder = (Fidelity(100, 1), Fidelity(200, 2))
    study = searched(tmp_path, 1, ladder=ladder)
    below, above = (find_weights(study.trials[0], tmp_path, rung) for rung in (1, 2))
    assert below is not None
    assert above is not None
    assert not torch.equal(below["0.weight"], above["0.weight"])
    alone = optuna.create_study(directions=["minimize"] * 2)
    alone.enqueue_trial(study.trials[0].params)
    optimize(alone, replace(objective(tmp_path, ladder=ladder), inheritance=False), total=1)
    assert study.trials[0].values[0] <= alone.trials[0].values[0]


def test_a_rung_starts_from_the_weights_of_the_one_below(tmp_path: Path) -> None:
    trial, genome = optuna.create_study(directions=["minimize"] * 2).ask(), parse("B4k3-GAP")
    model = build(genome, SPACE.image_shape, SPACE.classes)
    store_weights(trial, model, tmp_path, 1)
    assert heritage_of(trial, genome, tmp_path, 1).parent is None
    heritage = heritage_of(trial, genome, tmp_path, 2)
    assert heritage.text == "its rung below"
    assert heritage.parent is not None
    stored = heritage.parent.state["0.weight"]
    assert torch.equal(stored, model.state_dict()["0.weight"].to(torch.bfloat16))


def test_inheritance_needs_a_folder() -> None:
    with pytest.raises(ValueError, match="inheritance needs a folder of artifacts"):
        objective(None)
