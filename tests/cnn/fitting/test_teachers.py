"""Finals that learn from a larger one, and models whose logits are averaged over views."""

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch

from optuna_de.cnn import CNNSpace, fit, get_recipe, parse
from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.export.model_folder import load_model
from optuna_de.cnn.fitting import shipping
from optuna_de.cnn.fitting.finals import FinalObjective, queue_finals
from optuna_de.cnn.fitting.shipping import ship
from optuna_de.cnn.fitting.teachers import NO_TEACHER, TEACHER, choose_teacher, taught_costs
from optuna_de.cnn.study.setup import check_setup
from tests.cnn.kit import digits

SPACE = CNNSpace((1, 8, 8))
SIZES = {"B8k3-MP-GAP": 200, "B12k3-MP-GAP": 300, "B16k3-MP-GAP": 400}


def pick(number: int, text: str) -> optuna.trial.FrozenTrial:
    size = float(SPACE.count_parameters(SPACE.encode(parse(text))))
    trial = optuna.create_trial(values=[0.5, size], user_attrs={"architecture": text})
    trial.number = number
    return trial


def objective(folder: Path, **options: object) -> FinalObjective:
    data = replace(digits(200, 100), name="shapes")
    recipe = replace(get_recipe("final"), batch_size=50)
    device = torch.device("cpu")
    return FinalObjective(data, SPACE, recipe, device, folder, "s", **options)  # type: ignore[arg-type]


def finals(goal: FinalObjective, *texts: str) -> optuna.Study:
    study = optuna.create_study(directions=["minimize"] * 2)
    queue_finals(study, SPACE, [pick(i, text) for i, text in enumerate(texts)], 2, [0])
    study.optimize(goal, len(texts))
    return study


def test_a_final_learns_from_the_best_larger_one_and_ships_as_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    goal = objective(tmp_path / "taught", distill=True, tta="flips")
    study = finals(goal, *SIZES)
    small, large = study.trials[-1], study.trials[0]
    assert [t.user_attrs[TEACHER] for t in (large, study.trials[1])] == [NO_TEACHER, 0]
    better = min(study.trials[:2], key=lambda t: t.values[0])
    assert small.user_attrs[TEACHER] == better.number
    setup = goal.job(small, study).setup()
    assert setup["teacher"]["architecture"] == better.user_attrs["architecture"]
    alone = finals(objective(tmp_path / "alone"), *SIZES).trials
    assert alone[0].values == large.values
    assert alone[-1].user_attrs["curve"] != small.user_attrs["curve"]

    monkeypatch.setattr(shipping, "_export", lambda folder: None)
    held = goal.data.validation
    model = ship(goal, study, small, lambda: Split(held.images, held.labels), tmp_path)
    assert model is not None
    assert model.test_error == pytest.approx(small.values[0])  # its weights are the trained ones
    assert model.tta == "flips"
    assert model.tta_error is not None
    assert load_model(model.folder).tta == "flips"


def test_a_teacher_without_weights_here_is_replaced_or_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    goal = objective(tmp_path, distill=True)
    study = finals(goal, *list(SIZES)[1:])
    trial = study.ask()
    assert choose_teacher(trial, 1.0, lambda final: final.number == 1) == 1
    assert choose_teacher(trial, 1.0, lambda final: True) == 1
    assert choose_teacher(trial, 1.0, lambda final: final.number == 0) == 0
    assert choose_teacher(trial, 1.0, lambda final: False) is None
    assert choose_teacher(trial, 1.0, lambda final: True) is None  # it trains alone to its end
    (goal.weights_folder(study.trials[0]) / "checkpoint.pt").unlink()
    assert ship(goal, study, study.trials[1], lambda: goal.data.validation, tmp_path) is None
    assert "The weights of its teacher, final 0, are not in" in caplog.text


def test_a_teacher_costs_a_forward_pass() -> None:
    assert taught_costs([]) == []
    assert taught_costs([1.0, 3.0, 2.0]) == [2.0, 3.0, 3.0]


def test_changed_finals_are_not_mixed(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["minimize"] * 2)
    older = {
        k: v for k, v in objective(tmp_path).setup().items() if k not in ("tta", "distillation")
    }
    check_setup(study, older, "")
    check_setup(study, objective(tmp_path).setup(), "")
    with pytest.raises(ValueError, match="distillation 'none', not 'from the best larger final'"):
        check_setup(study, objective(tmp_path, distill=True).setup(), "")
    taught = optuna.create_study(directions=["minimize"] * 2)
    check_setup(taught, objective(tmp_path, distill=True).setup(), "")
    with pytest.raises(ValueError, match="distillation 'from the best larger final'"):
        check_setup(taught, objective(tmp_path).setup(), "")


def test_wrong_views_are_refused_before_a_fit() -> None:
    with pytest.raises(ValueError, match="tta is 'flip', but must be one of none, flips"):
        fit("digits", tta="flip")
    with pytest.raises(ValueError, match="images of digits are not mirrored in training"):
        fit("digits", tta="flips")
