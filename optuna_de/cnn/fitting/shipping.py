"""Shipping of finals: the test split read once, weights, card, per-class errors and ONNX."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from optuna_de._compat import study_key
from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.evaluation.final_training import (
    TrainingFailedError,
    run_final_training,
    score_final_training,
)
from optuna_de.cnn.evaluation.model_card import honesty, metric_of
from optuna_de.cnn.evaluation.results import (
    final_result,
    read_result,
    write_result,
    write_weights,
)
from optuna_de.cnn.export.export import export_model
from optuna_de.cnn.fitting.finals import FinalObjective
from optuna_de.cnn.study.attributes import read_attributes
from optuna_de.storage.lock import locked

_logger = logging.getLogger(__name__)
ONNX = "model.onnx"
"""Name of a model's exported file."""
RESULT_KEY = "optuna_de:result:"
"""Study attribute of a final's result, before the number of its trial."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """Shipped model: a trained network in its folder, with what its test said.

    Args:
        folder: Holds weights, card, result, curve, and ONNX if that extra is installed.
        trial: Number of its final.
        architecture: Text form.
        parameters: Trainable ones.
        macs: Multiply-accumulates for one image.
        validation_error: That which chose it, by the metric.
        test_error: That on the test split, read once.
        tta: Test-time augmentation that the model and its exports use.
        tta_error: Test error with it; None without.
        metric: What counts as the error.
        class_errors: Test error rate of each class.
        files: Names in the folder that a reader may open.
        honesty: Which images the figures are of.
    """

    folder: Path
    trial: int
    architecture: str
    parameters: int
    macs: int
    validation_error: float
    test_error: float
    metric: str
    class_errors: dict[str, float]
    files: tuple[str, ...]
    honesty: str
    tta: str = "none"
    tta_error: float | None = None

    @property
    def worst_class(self) -> str:
        """The class of the largest test error, with it."""
        if not self.class_errors:
            return ""
        name = max(self.class_errors, key=self.class_errors.__getitem__)
        return f"{name}: {self.class_errors[name]:.1%}"


def ship(
    objective: FinalObjective,
    study: optuna.Study,
    trial: FrozenTrial,
    load_test: Callable[[], Split],
    out: Path,
) -> Shipped | None:
    """Ship a final: score it on the test split, unless that is done, and write its folder.

    The study keeps the result, so that the test split is read once however many machines ship.

    Args:
        objective: Knows data, recipe and where the weights are.
        study: The study of finals.
        trial: A complete final of it.
        load_test: Gives the test split; not called for a final that was shipped before.
        out: Gets a folder for the model.

    Returns:
        The model; None, with a warning, if its weights are on another machine.
    """
    folder = out / f"{trial.values[1]:.0f}-parameters-{trial.number}"
    result = read_result(folder) if folder.is_dir() else None
    if result is None:
        result = _write(objective, study, trial, load_test, folder)
    if result is None:
        return None
    _export(folder)
    return _shipped(folder, trial, result)


def _write(
    objective: FinalObjective,
    study: optuna.Study,
    trial: FrozenTrial,
    load_test: Callable[[], Split],
    folder: Path,
) -> dict[str, Any] | None:
    """Write weights and result; None where the weights are missing."""
    if not objective.has_weights(trial):
        _warn_missing(objective, trial)
        return None
    try:
        job = objective.job(trial, study)
    except TrainingFailedError as error:
        _logger.warning("Final %d is not shipped from here. %s", trial.number, error)
        return None
    weights = run_final_training(job, objective.weights_folder(trial))  # it returns at once
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(job, weights, folder, folder.parent)

    def score() -> dict[str, Any]:
        return final_result(job, weights, score_final_training(job, weights, load_test()))

    result = _score_once(study, trial, score)
    write_result(result, folder)
    return result


def _score_once(
    study: optuna.Study, trial: FrozenTrial, score: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return the result of a final; of all processes that ship it, one scores."""
    key = f"{RESULT_KEY}{trial.number}"
    name = f"{study.study_name} result {trial.number}"
    with locked(study_key(study)[0], name, renewed=True):  # a large test split takes minutes
        result = study.user_attrs.get(key)
        if not isinstance(result, dict):
            result = score()
            study.set_user_attr(key, result)
    return result


def _warn_missing(objective: FinalObjective, trial: FrozenTrial) -> None:
    machine = read_attributes(trial).text("machine", absent="another machine")
    _logger.warning(
        "The weights of final %d are not in %s; it was trained on %s.",
        trial.number,
        objective.folder,
        machine,
    )


def _export(folder: Path) -> None:
    """Write the ONNX file; whatever goes wrong there, the weights stay."""
    if (folder / ONNX).is_file():
        return
    try:
        export_model(folder, "onnx", folder / ONNX)
    except Exception as error:  # an exporter may raise anything
        sentence = " ".join(str(error).split())[:300] or type(error).__name__
        _logger.warning("%s has weights, but no ONNX file: %s", folder, sentence)


def _shipped(folder: Path, trial: FrozenTrial, result: dict[str, Any]) -> Shipped:
    figures, metric = result["figures"]["last"], metric_of(result)
    pages = ("curve.html", "drawing.svg", "confusion.svg")
    wanted = ("model_card.md", ONNX, "model.pt", "model.json", *pages)
    return Shipped(
        folder=folder,
        trial=trial.number,
        architecture=result["setup"]["architecture"],
        parameters=result["parameters"],
        macs=result["macs"],
        validation_error=trial.values[0],
        test_error=figures[f"test {metric}"],
        metric=metric,
        class_errors=result.get("class errors", {}),
        files=tuple(name for name in wanted if (folder / name).is_file()),
        honesty=honesty(result),
        tta=result["setup"].get("tta", "none"),
        tta_error=figures.get(f"test {metric} with tta"),
    )
