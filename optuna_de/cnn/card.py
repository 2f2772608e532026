"""What a final training leaves in its folder: weights, figures, curves, layers, a model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from optuna_de.cnn import checkpoint
from optuna_de.cnn.curves import csv_text, write_curves
from optuna_de.cnn.drawing import draw_svg
from optuna_de.cnn.final import BEST, CHECKPOINT, Fitted
from optuna_de.cnn.job import FinalTraining
from optuna_de.cnn.layers import count_macs, count_parameters, trace
from optuna_de.cnn.machine import machine, versions
from optuna_de.cnn.report_rows import duration, number_text
from optuna_de.cnn.saved import save_model, save_weights, write_text

RESULT = "result.json"
FORMAT = "optuna_de result 1"
LAYERS = ("layer (type)", "output shape", "parameters", "MACs")
CHOSEN = "the epoch with the least validation error"


def write_all(
    job: FinalTraining, fitted: Fitted, figures: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Write every file of a final training, ``result.json`` last, and drop its checkpoints.

    Returns:
        What ``result.json`` holds.
    """
    result = _result(job, fitted, figures)
    _weights(job, fitted, folder)
    write_curves(job, fitted, folder)
    shape, classes = job.data.image_shape, len(job.data.classes)
    write_text(folder / "layers.csv", layer_table(job))
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


def _result(job: FinalTraining, fitted: Fitted, figures: dict[str, Any]) -> dict[str, Any]:
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


def _weights(job: FinalTraining, fitted: Fitted, folder: Path) -> None:
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


def layer_table(job: FinalTraining) -> str:
    """Return the table of layers as CSV: type, output shape, parameters, MACs, and the sums."""
    shape, classes = job.data.image_shape, len(job.data.classes)
    works = trace(job.genome, shape, classes)
    rows: list[tuple[object, ...]] = [
        (w.name, "x".join(map(str, w.output_shape)), w.parameters, w.macs) for w in works
    ]
    total = ("total", "", sum(w.parameters for w in works), sum(w.macs for w in works))
    return csv_text(LAYERS, [*rows, total])


def model_card(result: dict[str, Any]) -> str:
    """Return the model card of a result in Markdown."""
    setup, shipped = result["setup"], result["figures"][result["shipped"]]
    parts = [
        f"# {setup['architecture']}",
        f"A convolutional network that tells {len(setup['classes'])} classes of {setup['data']} "
        f"apart: {', '.join(setup['classes'])}. Test accuracy "
        f"{shipped['test accuracy']:.2%} at {result['parameters']:,} parameters.",
        "## Figures",
        figure_table(result),
        honesty(result),
        "## Data",
        _list(_pick(setup, "data", "data fingerprint", "image shape", "split seed")),
        f"{_trained_on(setup)} images trained the network; the test split was opened once, "
        "after the last epoch.",
        "## Training",
        _list({"recipe": _recipe(setup), **_pick(setup, "epochs", "batch size", "seed")}),
        _list({k: v for k, v in setup["recipe"].items() if k not in _NAMED}),
        "## Network",
        _list({**_pick(setup, "architecture", "origin"), **_pick(result, "parameters", "macs")}),
        "Layers: `layers.csv`; drawing: `drawing.svg`; curves: `curve.csv`, `curve.html`.",
        "## Cost and machine",
        _list(
            {
                "training": duration(result["training seconds"]),
                **_pick(setup, "threads", "precision"),
            }
        ),
        _list(_pick(result, "machine", "versions")),
        "## Files",
        "`model.pt` holds the weights as plain tensors, `model.json` the network, the classes "
        "and the mean and deviation that images in [0, 1] are normalised by; `result.json` "
        "holds all of this page.",
    ]
    return "\n\n".join(parts) + "\n"


_NAMED = ("name", "version", "batch_size", "epochs")


def _pick(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _list(values: dict[str, Any]) -> str:
    return "\n".join(f"- {name}: {number_text(value)}" for name, value in values.items())


def _recipe(setup: dict[str, Any]) -> str:
    return f"{setup['recipe']['name']} version {setup['recipe']['version']}"


def _trained_on(setup: dict[str, Any]) -> str:
    kept = setup["validation"] == "kept apart"
    images = setup["train images"] + (0 if kept else setup["validation images"])
    return f"{images:,}"


def figure_table(result: dict[str, Any]) -> str:
    """Return the figures of a result as a Markdown table."""
    lines = ["| weights | epoch | validation error | test error | test accuracy | test loss |"]
    lines.append("| --- | --: | --: | --: | --: | --: |")
    names = {"last": "last epoch", "best": CHOSEN}
    for key, row in result["figures"].items():
        held = row["validation error"]
        validation = "none kept" if held is None else f"{held:.2%}"
        lines.append(
            f"| {names[key]} | {row['epoch']} | {validation} | {row['test error']:.2%} "
            f"| {row['test accuracy']:.2%} | {row['test loss']:.4f} |"
        )
    return "\n".join(lines)


def honesty(result: dict[str, Any]) -> str:
    """Say in one sentence what the figures are of, and how the shipped weights were chosen."""
    images = result["figures"]["last"]["test images"]
    if result["shipped"] == "last":
        return (
            "Training took the train and validation splits together, so no image was left to "
            f"choose an epoch by: the last one counts, on {images:,} test images."
        )
    held = result["setup"]["validation images"]
    return (
        f"{held:,} validation images stayed out of training and chose the epoch whose weights "
        f"`model.pt` holds (`last.pt`: the last one's); both are scored on {images:,} test images."
    )
