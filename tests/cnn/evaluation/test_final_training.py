"""Final training: what it trains on, that it goes on as if never stopped, which epoch counts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.evaluation import final_training
from optuna_de.cnn.evaluation.final_training import (
    FinalWeights,
    TrainingFailedError,
    join_splits,
    run_final_training,
    score_final_training,
)
from optuna_de.cnn.evaluation.results import claim_result_folder
from optuna_de.cnn.evaluation.training_job import TrainingJob
from optuna_de.cnn.recipes import Recipe
from optuna_de.cnn.training import Epoch, TrainingResult
from tests.cnn.kit import digits
from tests.cnn.training.kit import job, jumpy


@pytest.fixture(autouse=True)
def fixture_one_thread() -> None:
    torch.set_num_threads(1)


class Stop(Exception):  # noqa: N818 (a signal, no error)
    pass


def content(fitted: FinalWeights) -> list[Any]:
    """Return all that a fit came to but its seconds."""
    states = [fitted.last, *([fitted.best[1]] if fitted.best else [])]
    tensors = [tensor.tolist() for state in states for tensor in state.values()]
    best = fitted.best and fitted.best[0]
    return [tensors, best, [replace(epoch, seconds=0) for epoch in fitted.result.epochs]]


def test_training_takes_train_and_validation_together() -> None:
    data = digits(300, 200)
    both = join_splits(data)
    assert len(both.train.labels) == 500
    assert torch.equal(both.train.images[300:], data.validation.images)
    pixels = both.train.images.double() / 255
    assert both.mean[0] == pytest.approx(pixels.mean().item())
    assert both.std[0] == pytest.approx(pixels.std(unbiased=False).item())
    assert both.fingerprint != data.fingerprint
    assert len(join_splits(digits(100, 1500)).validation.labels) == 750


@pytest.mark.parametrize(("keep", "aware"), [(False, False), (True, False), (True, True)])
def test_one_stopped_after_every_epoch_ends_as_one_never_stopped(
    tmp_path: Path, keep: bool, aware: bool
) -> None:
    text, epochs = "B8k3-MP-C8k3-GAP-FC16", 3 if aware else 4
    training = job(text, epochs=epochs, keep_validation=keep, quantize_aware=aware)
    assert training.total_epochs == 4
    for name in ("whole", "pieces"):
        (tmp_path / name).mkdir()
    whole = run_final_training(training, tmp_path / "whole")

    for number in range(1, 4):

        def stop(epoch: Epoch, number: int = number) -> None:
            if epoch.number == number:
                raise Stop

        with pytest.raises(Stop):
            run_final_training(training, tmp_path / "pieces", stop)
    seen: list[int] = []
    pieces = run_final_training(
        training, tmp_path / "pieces", lambda epoch: seen.append(epoch.number)
    )
    assert content(pieces) == content(whole)
    assert seen == [3, 4]
    assert (whole.best is not None) == keep


def test_quantize_aware_epochs_follow_and_only_they_may_be_kept(tmp_path: Path) -> None:
    training = job(epochs=2, keep_validation=True)
    before = run_final_training(training, tmp_path / "plain")
    aware = replace(training, quantize_aware=True)
    after = run_final_training(aware, tmp_path / "aware")
    assert [e.number for e in after.result.epochs] == [1, 2, 3]
    assert [e.train_loss for e in after.result.epochs[:2]] == [
        e.train_loss for e in before.result.epochs
    ]
    assert after.best is not None
    assert after.best[0] == 3
    assert aware.setup()["quantize-aware epochs"] == 1
    assert "quantize-aware epochs" not in training.setup()
    rates = (training.recipe.learning_rate / 10, training.recipe.matrix_rate / 10)
    assert (aware.tuning.recipe.learning_rate, aware.tuning.recipe.matrix_rate) == rates


def test_quantize_aware_epochs_are_rounded_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, bool | None]] = []

    def train(
        chosen: TrainingJob, module: nn.Module, *_: Any, pad_channels: bool | None = None
    ) -> TrainingResult:
        rounded = any("forward" in vars(layer) for layer in module.modules())
        seen.append((rounded, pad_channels))
        return TrainingResult(0.5, (), 0.0, "ok", "float32")

    monkeypatch.setattr(final_training, "_train", train)
    run_final_training(job(epochs=2, quantize_aware=True), tmp_path)
    assert seen == [(False, None), (True, False)]  # a padded copy would not be rounded


def test_a_kept_validation_split_is_not_trained_on(tmp_path: Path) -> None:
    training = job(keep_validation=True)
    whole = run_final_training(training, tmp_path)
    held = training.data.validation
    blank = Split(torch.zeros_like(held.images), held.labels)
    other = job(keep_validation=True, data=replace(training.data, validation=blank))
    (tmp_path / "other").mkdir()
    assert content(run_final_training(other, tmp_path / "other"))[0][:5] == content(whole)[0][:5]


def test_the_epoch_that_validation_likes_best_is_kept(tmp_path: Path) -> None:
    errors: dict[int, float | None] = {}
    training = jumpy()
    fitted = run_final_training(
        training, tmp_path, lambda e: errors.update({e.number: e.validation_error})
    )
    best = min(errors, key=lambda number: (errors[number] or 0, number))
    assert fitted.best is not None
    assert fitted.best[0] == best != 6, errors
    figures = score_final_training(training, fitted, training.data.validation)
    assert figures["best"]["test error"] == errors[best] == figures["best"]["validation error"]
    assert figures["last"]["test error"] == errors[6]


def test_of_a_running_mean_too_the_weights_that_were_scored_are_kept(tmp_path: Path) -> None:
    training = jumpy(ema=0.9)
    fitted = run_final_training(training, tmp_path)
    figures = score_final_training(training, fitted, training.data.validation)
    for chosen in figures.values():
        assert chosen["test error"] == chosen["validation error"]


def test_a_lost_best_epoch_is_said(tmp_path: Path) -> None:
    run_final_training(jumpy(), tmp_path)
    (tmp_path / "best.pt").unlink()
    with pytest.raises(ValueError, match=r"best\.pt lacks epoch \d; train again in another --out"):
        run_final_training(jumpy(), tmp_path)


def test_a_diverged_training_is_one_sentence_again_and_again(tmp_path: Path) -> None:
    wild = job(recipe=Recipe("wild", 1, learning_rate=1e30))
    for _ in range(2):
        with pytest.raises(TrainingFailedError, match="diverged in epoch 1"):
            run_final_training(wild, tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"text": "C4k3-MP-MP-MP-MP"}, "MP"),
    ],
)
def test_what_cannot_be_trained_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        job(**changes)


def test_test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    training = job(epochs=1)
    test = Split(torch.zeros(3, 1, 9, 9, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"are \(1, 9, 9\), but the network was trained on"):
        score_final_training(training, run_final_training(training, tmp_path), test)


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    folder, training = tmp_path / "new" / "out", job()
    for _ in range(2):
        claim_result_folder(folder, training.setup())
    claim_result_folder(folder, TrainingJob(**{**fields(training), "origin": "elsewhere"}).setup())
    with pytest.raises(ValueError, match=r"holds a training with seed 0, not 1\. Give the same"):
        claim_result_folder(folder, job(seed=1).setup())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(ValueError, match="full exists and holds no training; choose another"):
        claim_result_folder(tmp_path / "full", training.setup())
    with pytest.raises(ValueError, match=r"thesis\.txt exists and holds no training"):
        claim_result_folder(tmp_path / "full" / "thesis.txt", training.setup())


def fields(training: TrainingJob) -> dict[str, Any]:
    return {name: getattr(training, name) for name in training.__dataclass_fields__}
