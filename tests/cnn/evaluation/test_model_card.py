"""What a final training leaves: files that agree with each other and with the network."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from optuna_de.cnn import count_macs, count_parameters
from optuna_de.cnn.evaluation.final_training import run_final_training, score_final_training
from optuna_de.cnn.evaluation.model_card import model_card
from optuna_de.cnn.evaluation.results import final_result, read_result, write_result, write_weights
from optuna_de.cnn.evaluation.training_job import TrainingJob
from optuna_de.cnn.export.model_folder import load_model
from optuna_de.cnn.export.teacher import Teacher, load_teacher
from optuna_de.cnn.modules.tta import Averaged
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.training.evaluate import evaluate
from tests.cnn.training.kit import job, jumpy

NAMES = {
    "confusion.svg",
    "curve.csv",
    "curve.html",
    "curve.json",
    "drawing.svg",
    "layers.csv",
    "model.json",
    "model.pt",
    "model_card.md",
    "result.json",
    "setup.json",
}


@pytest.fixture(autouse=True)
def fixture_one_thread() -> None:
    torch.set_num_threads(1)


def finish(training: TrainingJob, folder: Path) -> dict[str, Any]:
    fitted = run_final_training(training, folder)
    figures = score_final_training(training, fitted, training.data.validation)
    write_weights(training, fitted, folder)
    result = final_result(training, fitted, figures)
    write_result(result, folder)
    return result


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("keep", [False, True])
def test_the_saved_network_has_the_figures_of_the_card(tmp_path: Path, keep: bool) -> None:
    training = jumpy() if keep else job()
    result = finish(training, tmp_path)
    assert read_result(tmp_path) == result
    assert {path.name for path in tmp_path.iterdir()} == NAMES | ({"last.pt"} if keep else set())

    saved, shipped = load_model(tmp_path), result["figures"]["best" if keep else "last"]
    error, _ = evaluate(saved.module, training.data.validation, saved.mean, saved.std)
    assert error == shipped["test error"]
    assert saved.classes == training.data.classes
    card = (tmp_path / "model_card.md").read_text()
    assert f"Test accuracy {1 - error:.2%} at {result['parameters']:,} parameters" in card
    assert ("300 images trained" if keep else "500 images trained") in card
    assert ("to choose the best epoch" if keep else "splits together") in card
    for fact in (
        f"{training.recipe.name} version {training.recipe.version}",
        "seed: 0",
        "fingerprint: digits",
        "torch 2",
        "cores of",
    ):
        assert fact in card
    result["setup"]["metric"] = "balanced-error"
    for row in result["figures"].values():
        row["test balanced-error"] = 0.25
    assert "Test balanced accuracy 75.00% at" in model_card(result)


def test_the_card_tells_gain_and_cost_of_test_time_augmentation(tmp_path: Path) -> None:
    training = job(recipe=get_recipe("fast"), tta="flips")
    result = finish(training, tmp_path)
    saved, figures = load_model(tmp_path), result["figures"]["last"]
    split = training.data.validation
    assert saved.tta == "flips"
    plain, averaged = (
        1 - evaluate(network, split, saved.mean, saved.std)[0]
        for network in (saved.module, Averaged(saved.module, "flips"))
    )
    assert (figures["test accuracy"], figures["test accuracy with tta"]) == (plain, averaged)
    card = (tmp_path / "model_card.md").read_text()
    assert "(flips: 2 passes an image, so 2 times" in card
    assert f"test accuracy is {averaged:.2%}, without {plain:.2%}" in card


def test_a_student_learns_from_a_teacher_and_its_card_says_so(tmp_path: Path) -> None:
    finish(job(), tmp_path / "teacher")
    teacher = load_teacher(tmp_path / "teacher", job().data)
    student = job("B4k3-MP-GAP", teacher=teacher)
    result = finish(student, tmp_path / "student")
    plain = finish(job("B4k3-MP-GAP"), tmp_path / "plain")
    assert result["figures"]["last"]["test loss"] != plain["figures"]["last"]["test loss"]
    card = (tmp_path / "student" / "model_card.md").read_text()
    assert "from the answers of a teacher, B8k3-MP-C8k3-GAP with the weights" in card
    images = torch.randn(3, 1, 8, 8)
    ours = Teacher(teacher, (0.1,), (0.2,))(images)
    expected = teacher.module((images * 0.2 + 0.1 - teacher.mean[0]) / teacher.std[0])
    torch.testing.assert_close(ours, expected)
    with pytest.raises(ValueError, match="tells 10 classes of images of"):
        load_teacher(tmp_path / "teacher", replace(job().data, classes=tuple("abcdefghij")))


def test_images_that_training_does_not_mirror_are_not_averaged() -> None:
    with pytest.raises(ValueError, match="images of digits are not mirrored in training"):
        job(tta="flips")
    with pytest.raises(ValueError, match="'rotations', but must be one of none, flips"):
        job(tta="rotations")


def test_layers_are_those_of_the_network(tmp_path: Path) -> None:
    training = job()
    finish(training, tmp_path)
    *layers, total = table(tmp_path / "layers.csv")
    assert layers[0] == {
        "layer": "Conv2d-1",
        "output": "8x8x8",
        "parameters": "72",
        "MACs": "4608",
    }
    assert sum(int(row["parameters"]) for row in layers) == int(total["parameters"])
    assert int(total["parameters"]) == count_parameters(training.genome, (1, 8, 8), 10)
    assert int(total["MACs"]) == count_macs(training.genome, (1, 8, 8), 10)


@pytest.mark.parametrize(("keep", "other"), [(False, "plain training"), (True, "held-out")])
def test_curves_say_of_which_images_they_are(tmp_path: Path, keep: bool, other: str) -> None:
    finish(job(keep_validation=keep), tmp_path)
    rows = json.loads((tmp_path / "curve.json").read_text())
    names = ["epoch", "training loss", "training accuracy", f"{other} loss", f"{other} accuracy"]
    assert list(rows[0]) == [*names, "seconds"]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [[float(v) for v in row.values()] for row in table(tmp_path / "curve.csv")] == [
        list(row.values()) for row in rows
    ]
    page = (tmp_path / "curve.html").read_text()
    assert f"{other} accuracy" in page
    assert not re.search(r'<(script|link)[^>]*(src|href)="', page)


def test_without_a_result_there_is_none(tmp_path: Path) -> None:
    run_final_training(job(), tmp_path)
    assert read_result(tmp_path) is None
