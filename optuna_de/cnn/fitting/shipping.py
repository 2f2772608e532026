"""Shipping of finals: the test split read once, weights, card, per-class errors and ONNX."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.evaluation.final_training import (
    CHECKPOINT,
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
from optuna_de.cnn.study.trials import CHECKPOINT_KEY

_logger = logging.getLogger(__name__)
ONNX = "model.onnx"
"""Names of a model's exported file, and of the one script that all pages of a fit share."""
_BATCH = 250


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

    @property
    def worst_class(self) -> str:
        """The class of the largest test error, with it."""
        if not self.class_errors:
            return ""
        name = max(self.class_errors, key=self.class_errors.__getitem__)
        return f"{name}: {self.class_errors[name]:.1%}"


def ship(
    objective: FinalObjective, trial: FrozenTrial, load_test: Callable[[], Split], out: Path
) -> Shipped | None:
    """Ship a final: score it on the test split, unless that is done, and write its folder.

    Args:
        objective: Knows data, recipe and where the weights are.
        trial: A complete final.
        load_test: Gives the test split; not called for a final that was shipped before.
        out: Gets a folder for the model.

    Returns:
        The model; None, with a warning, if its weights are on another machine.
    """
    folder = out / f"{trial.values[1]:.0f}-parameters-{trial.number}"
    result = read_result(folder) if folder.is_dir() else None
    if result is None:
        result = _score(objective, trial, load_test, folder)
    if result is None:
        return None
    _export(folder)
    return _shipped(folder, trial, result)


def _score(
    objective: FinalObjective, trial: FrozenTrial, load_test: Callable[[], Split], folder: Path
) -> dict[str, Any] | None:
    kept = objective.folder / str(trial.system_attrs.get(CHECKPOINT_KEY))
    if not (kept / CHECKPOINT).is_file():
        machine = read_attributes(trial).text("machine", absent="another machine")
        _logger.warning(
            "The weights of final %d are not in %s; it was trained on %s.",
            trial.number,
            objective.folder,
            machine,
        )
        return None
    job = objective.job(trial)
    weights = run_final_training(job, kept)  # its last epoch is there: it returns at once
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(job, weights, folder, folder.parent)
    result = final_result(job, weights, score_final_training(job, weights, load_test()))
    write_result(result, folder)
    return result


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
    wanted = ("model_card.md", ONNX, "model.pt", "model.json", "curve.html", "drawing.svg")
    return Shipped(
        folder=folder,
        trial=trial.number,
        architecture=result["setup"]["architecture"],
        parameters=result["parameters"],
        macs=result["macs"],
        validation_error=trial.values[0],
        test_error=result["figures"]["last"][f"test {metric_of(result)}"],
        metric=metric_of(result),
        class_errors=result.get("class errors", {}),
        files=tuple(name for name in wanted if (folder / name).is_file()),
        honesty=honesty(result),
    )
