"""Result folder of a final training: weights, test figures, learning curve, layers, model card.

All that needs no test split is written before that is opened. A lost curve, drawing or model card
costs one warning.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from optuna_de._files import (
    check_folder,
    make_folder,
    reason,
    warn_once,
    write_side_text,
    write_text,
)
from optuna_de._machine import machine, versions
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.layer_table import layer_csv
from optuna_de.cnn.drawing.plots import draw_svg
from optuna_de.cnn.evaluation.confusion import MOST_DRAWN, MOST_KEPT, class_errors, draw_confusion
from optuna_de.cnn.evaluation.final_training import BEST, CHECKPOINT, TUNED, FinalWeights
from optuna_de.cnn.evaluation.learning_curve import write_curves
from optuna_de.cnn.evaluation.model_card import model_card
from optuna_de.cnn.evaluation.training_job import STRETCHED, TrainingJob
from optuna_de.cnn.export.model_folder import save_model, save_weights
from optuna_de.cnn.training.checkpoint import discard_checkpoint

SETUP = "setup.json"
_FOR_THE_RECORD = ("origin", "objectives")
RESULT = "result.json"
FORMAT = "optuna_de result 1"
_PAGES = 10_000_000  # bytes of the pages of one training, plotly's script among them


def write_weights(
    job: TrainingJob, weights: FinalWeights, folder: Path, home: Path | None = None
) -> None:
    """Write the weights, curve and layers of a final training to its result folder.

    Args:
        job: The training.
        weights: Its outcome.
        folder: The result folder.
        home: Folder of the one script that the curves of several trainings share; ``None``
            writes it into the page.

    Raises:
        OSError: If the weights cannot be written; the checkpoint stays.
    """
    if not (folder / SETUP).is_file():  # the folder was removed during the training
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / SETUP, job.setup())
    if weights.best is not None:
        save_weights(folder / "last.pt", weights.last)
    save_model(
        folder,
        genome=job.genome,
        state=weights.last if weights.best is None else weights.best[1],
        image_shape=job.data.image_shape,
        classes=job.data.classes,
        mean=weights.mean,
        std=weights.std,
        resizing=job.data.resizing,
        objectives=job.objectives,
        tta=job.tta,
    )
    try:
        _write_pages(job, weights, folder, home)
    except OSError as error:
        warn_once(f"Curves and drawing cannot be written to {folder}: {reason(error)}.")


def _write_pages(job: TrainingJob, weights: FinalWeights, folder: Path, home: Path | None) -> None:
    shape, classes = job.data.image_shape, len(job.data.classes)
    write_curves(job, weights, folder, home)
    write_text(folder / "layers.csv", layer_csv(job.genome, shape, classes))
    write_text(folder / "drawing.svg", draw_svg(job.genome, shape, classes))


def final_result(
    job: TrainingJob, weights: FinalWeights, figures: dict[str, Any]
) -> dict[str, Any]:
    """Return the result of a final training: the content of ``result.json``.

    Args:
        job: The training.
        weights: Its outcome.
        figures: Test figures, see :func:`score_final_training`.
    """
    shape, classes = job.data.image_shape, len(job.data.classes)
    device = torch.device(job.device)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    shipped = "best" if weights.best else "last"
    return {
        "format": FORMAT,
        "setup": job.setup(),
        "parameters": count_parameters(job.genome, shape, classes),
        "macs": count_macs(job.genome, shape, classes),
        "figures": _without_large_confusion(figures, classes),
        "shipped": shipped,
        "class errors": class_errors(figures[shipped]["confusion"], job.data.classes),
        "training seconds": round(weights.result.seconds, 1),
        "machine": machine(card),
        "versions": versions(),
    }


def _without_large_confusion(figures: dict[str, Any], classes: int) -> dict[str, Any]:
    """Drop confusion matrices that would fill a file."""
    if classes <= MOST_KEPT:
        return figures
    return {
        name: {key: value for key, value in row.items() if key != "confusion"}
        for name, row in figures.items()
    }


def write_result(result: dict[str, Any], folder: Path, *, goes_on: bool = False) -> None:
    """Write the result of a final training: model card and ``result.json``.

    Args:
        result: See :func:`final_result`.
        folder: The result folder.
        goes_on: Whether the checkpoints stay, so that a longer training can go on; else they are
            dropped.

    Raises:
        OSError: If ``result.json`` cannot be written; the checkpoints stay.
    """
    write_side_text(folder / "model_card.md", model_card(result))
    counts = result["figures"][result["shipped"]].get("confusion")
    classes = result["setup"]["classes"]
    if counts and len(classes) <= MOST_DRAWN:
        write_side_text(folder / "confusion.svg", draw_confusion(counts, classes))
    _write_json(folder / RESULT, result)
    for name in () if goes_on else (CHECKPOINT, TUNED, BEST):
        discard_checkpoint(folder / name)


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return the result of a finished training from its folder, or None if it is not finished.

    Raises:
        ValueError: If ``result.json`` is damaged.
    """
    return _read_json(folder / RESULT) if (folder / RESULT).is_file() else None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1) + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged; choose another --out.")
    return content


def claim_result_folder(folder: Path, setup: dict[str, Any], owner: str = "training") -> None:
    """Create the folder of a training or comparison, or check that it holds the same one.

    Args:
        folder: The folder.
        setup: All that has to be the same, as JSON has it.
        owner: "training" or "comparison", for messages.

    Raises:
        ValueError: If it holds anything else, or cannot be made.
    """
    file = folder / SETUP
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        make_folder(folder)
        check_folder(folder, 0)
        _write_json(file, setup)
        return
    if not file.is_file():
        raise ValueError(f"{folder} exists and holds no {owner}; choose another --out.")
    stored = _read_json(file)
    for key in {**setup, **stored}:
        if key not in _FOR_THE_RECORD and stored.get(key) != setup.get(key):
            raise ValueError(
                f"{folder} holds a {owner} with {key} {stored.get(key)!r}, not "
                f"{setup.get(key)!r}. Give the same value, or choose another --out."
            )


def stretched(job: TrainingJob, folder: Path) -> TrainingJob:
    """Return a job as it goes on from a shorter training in its result folder.

    The folder then belongs to the longer training; an earlier result is kept by its epochs. The
    job stays as it is where the folder holds none or another training.

    Raises:
        ValueError: If the folder is damaged, or the state of the shorter training is gone.
    """
    file = folder / SETUP
    stored = _read_json(file) if file.is_file() else {}
    before, earlier = stored.get("epochs"), stored.get(STRETCHED, [])
    own = job.setup()
    apart = {*_FOR_THE_RECORD, "epochs", STRETCHED}
    same = all(stored.get(k) == own.get(k) for k in {*own, *stored} - apart)
    if not same or not isinstance(before, int) or before > job.epochs:
        return job
    if before == job.epochs:
        return replace(job, stretched_from=tuple(earlier))
    if not (folder / CHECKPOINT).is_file():
        raise ValueError(
            f"{folder} holds a training of {before} epochs, but no checkpoint to go on from; "
            "choose another --out."
        )
    longer = replace(job, stretched_from=(*earlier, before))
    if (folder / RESULT).is_file():
        (folder / RESULT).replace(folder / f"result-{before}-epochs.json")
    _write_json(file, longer.setup())
    return longer


def check_disk(folder: Path, jobs: Sequence[TrainingJob]) -> None:
    """Check, before the first epoch, that a result folder can hold a final training.

    Raises:
        ValueError: If it cannot be written to, or its disk lacks room.
    """
    drafts = [_copies(job) * _weight_bytes(job) for job in jobs]
    kept = [(_copies(job) + 1 + 2 * job.keep_validation) * _weight_bytes(job) for job in jobs]
    check_folder(folder, max(drafts, default=0) + sum(kept) + _PAGES * len(jobs))


def _weight_bytes(job: TrainingJob) -> int:
    return 4 * count_parameters(job.genome, job.data.image_shape, len(job.data.classes))


def _copies(job: TrainingJob) -> int:
    """Return how many numbers of a parameter a checkpoint holds: value, momentum, average."""
    return 1 + job.recipe.moments + (job.recipe.ema is not None)
