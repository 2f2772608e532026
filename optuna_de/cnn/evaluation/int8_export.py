"""Int8 export of a trained model, with the accuracy of the float32 and the int8 file side by side.

Ranges are calibrated on validation images. The test split is read where the result of the training
holds test figures already, and once for each int8 file: the figures are kept with its digest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from optuna_de._files import write_side_text, write_text
from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.data.store.mapped_images import blocks, take
from optuna_de.cnn.evaluation.model_card import model_card
from optuna_de.cnn.evaluation.model_data import load_model_data
from optuna_de.cnn.evaluation.results import RESULT, read_result
from optuna_de.cnn.export.classifier import LogitsFunction
from optuna_de.cnn.export.formats import open_model
from optuna_de.cnn.export.quantization import CALIBRATION_IMAGES, quantize_to_int8

MOST_LOST = 0.01
"""Accuracy that an int8 file may lose without a word."""
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Int8Export:
    """An int8 file and its accuracies.

    Args:
        path: The file.
        float_bytes: Size of the float32 ONNX file.
        int8_bytes: Its own size.
        accuracies: Name of a split -> images, accuracy of the float32 network, of the int8 file.
        calibration: Number of images that the ranges were taken from.
    """

    path: Path
    float_bytes: int
    int8_bytes: int
    accuracies: dict[str, tuple[int, float, float]]
    calibration: int

    @property
    def advice(self) -> str:
        """One sentence if more than a point of accuracy is lost; else empty."""
        name, (_, exact, rough) = list(self.accuracies.items())[-1]
        if exact - rough <= MOST_LOST:
            return ""
        return (
            f"The int8 file loses {100 * (exact - rough):.1f} points of {name} accuracy; train it "
            "with --quantize-aware, keep the float32 file, or export another network of the front."
        )


def export_int8(folder: Path, out: Path, choice: DataChoice) -> Int8Export:
    """Export a trained model to int8 and score it beside its float32 network.

    Args:
        folder: Folder of the model. Where it holds a result, figures and card gain the int8 file.
        out: The file, ending in ``.onnx``.
        choice: Data of the training, where the folder does not name them.

    Raises:
        ValueError: If the data are unknown or others, or the conversion fails.
    """
    loaded = load_model_data(folder, choice)
    if loaded is None:
        raise ValueError(f"{folder} does not name its images; give them with --data.")
    whole, data = loaded
    model = open_model(folder)
    if data.image_shape != model.metadata.image_shape:
        raise ValueError(
            f"The images are {data.image_shape}, but the network takes "
            f"{model.metadata.image_shape}; see --image-size."
        )
    first = torch.arange(min(len(data.validation.labels), CALIBRATION_IMAGES))
    images = take(data.validation.images, first).numpy()
    sizes = quantize_to_int8(folder, out, images)
    rough = open_model(out).logits
    scores = {"validation": _scores(model.logits, rough, data.validation)}
    result = read_result(folder)
    if result is not None:
        scores |= _test_scores(result, model.logits, rough, out, whole)
    done = Int8Export(out, int(sizes[0]), int(sizes[1]), scores, len(images))
    if result is not None:
        _record(done, result, folder)
    return done


def _scores(
    exact: LogitsFunction, rough: LogitsFunction, split: Split
) -> tuple[int, float, float]:
    return len(split.labels), _accuracy(exact, split), _accuracy(rough, split)


def _accuracy(logits: LogitsFunction, split: Split) -> float:
    parts = zip(blocks(split.images, _BATCH), torch.split(split.labels, _BATCH), strict=True)
    right = sum(int((logits(i.numpy()).argmax(1) == n.numpy()).sum()) for i, n in parts)
    return right / len(split.labels)


def _test_scores(
    result: dict[str, Any],
    exact: LogitsFunction,
    rough: LogitsFunction,
    out: Path,
    choice: DataChoice,
) -> dict[str, tuple[int, float, float]]:
    """Return the test scores, read again only for another int8 file than the recorded one."""
    known = result.get("int8", {})
    if known.get("sha256") == _digest(out) and "test" in known.get("accuracies", {}):
        images, one, other = known["accuracies"]["test"]
        return {"test": (images, one, other)}
    return {"test": _scores(exact, rough, choice.load_test())}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _record(done: Int8Export, result: dict[str, Any], folder: Path) -> None:
    """Write the figures to result and model card."""
    result["int8"] = {
        "file": done.path.name,
        "sha256": _digest(done.path),
        "bytes": done.int8_bytes,
        "float32 bytes": done.float_bytes,
        "calibration images": done.calibration,
        "accuracies": {name: list(row) for name, row in done.accuracies.items()},
    }
    write_text(folder / RESULT, json.dumps(result, indent=1) + "\n")
    write_side_text(folder / "model_card.md", model_card(result))
