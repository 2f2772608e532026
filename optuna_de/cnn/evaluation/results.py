"""What a final training leaves in its folder: weights, figures, curves, layers, a model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from optuna_de._files import write_text
from optuna_de._machine import machine, versions
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.layer_table import layer_csv
from optuna_de.cnn.drawing.plots import draw_svg
from optuna_de.cnn.evaluation.final_training import BEST, CHECKPOINT, Fitted
from optuna_de.cnn.evaluation.job import TrainingJob
from optuna_de.cnn.evaluation.learning_curve import write_curves
from optuna_de.cnn.evaluation.model_card import model_card
from optuna_de.cnn.export.model_folder import save_model, save_weights
from optuna_de.cnn.training import checkpoint

SETUP = "setup.json"
_FOR_THE_RECORD = ("origin",)
RESULT = "result.json"
FORMAT = "optuna_de result 1"


def write_all(
    job: TrainingJob, fitted: Fitted, figures: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Write every file of a final training, ``result.json`` last, and drop its checkpoints.

    Returns:
        What ``result.json`` holds.
    """
    result = _result(job, fitted, figures)
    _weights(job, fitted, folder)
    write_curves(job, fitted, folder)
    shape, classes = job.data.image_shape, len(job.data.classes)
    write_text(folder / "layers.csv", layer_csv(job.genome, shape, classes))
    write_text(folder / "drawing.svg", draw_svg(job.genome, shape, classes))
    write_text(folder / "model_card.md", model_card(result))
    write_text(folder / RESULT, json.dumps(result, indent=1) + "\n")
    for name in (CHECKPOINT, BEST):
        checkpoint.discard(folder / name)
    return result


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return what a finished training left in its folder, or None where it is not finished."""
    path = folder / RESULT
    if not path.is_file():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def _result(job: TrainingJob, fitted: Fitted, figures: dict[str, Any]) -> dict[str, Any]:
    shape, classes = job.data.image_shape, len(job.data.classes)
    place = torch.device(job.device)
    card = torch.cuda.get_device_name(place) if place.type == "cuda" else ""
    return {
        "format": FORMAT,
        "setup": job.setup(),
        "parameters": count_parameters(job.genome, shape, classes),
        "macs": count_macs(job.genome, shape, classes),
        "figures": figures,
        "shipped": "best" if fitted.best else "last",
        "training seconds": round(fitted.result.seconds, 1),
        "machine": machine(card),
        "versions": versions(),
    }


def _weights(job: TrainingJob, fitted: Fitted, folder: Path) -> None:
    shipped = fitted.last if fitted.best is None else fitted.best[1]
    if fitted.best is not None:
        save_weights(folder / "last.pt", fitted.last)
    save_model(
        folder,
        genome=job.genome,
        state=shipped,
        image_shape=job.data.image_shape,
        classes=job.data.classes,
        mean=fitted.data.mean,
        std=fitted.data.std,
    )


def claim_result_folder(folder: Path, setup: dict[str, Any], what: str = "training") -> None:
    """Make the folder of a training, or see that it holds the same one.

    Args:
        folder: Where.
        setup: All that has to be the same, as JSON has it.
        what: What the folder is of, for messages.

    Raises:
        ValueError: Where it holds anything else.
    """
    file = folder / SETUP
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        folder.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(setup, indent=1) + "\n")
        return
    if not file.is_file():
        raise ValueError(f"{folder} exists and holds no {what}; choose another --out.")
    stored = json.loads(file.read_text(encoding="utf-8"))
    for key in {**setup, **stored}:
        if key not in _FOR_THE_RECORD and stored.get(key) != setup.get(key):
            raise ValueError(
                f"{folder} holds a {what} with {key} {stored.get(key)!r}, not "
                f"{setup.get(key)!r}; repeat that, or choose another --out."
            )
