"""Prediction: classes of image files by a trained or exported network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optuna_de._checks import require
from optuna_de.cnn.data.reading.images import read_image
from optuna_de.cnn.export.classifier import OpenModel

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predicted classes of one image.

    Args:
        file: The image file, as it was given.
        likely: (class, probability in [0, 1]) of the most probable classes, the best first.
    """

    file: str
    likely: tuple[tuple[str, float], ...]


def predict(
    model: OpenModel, files: Sequence[str | Path], *, top: int = 3
) -> tuple[Prediction, ...]:
    """Classify image files, see :func:`read_image`.

    Args:
        model: See :func:`optuna_de.cnn.export.formats.open_model`.
        files: One or more.
        top: Number of classes to return of each image, at least 1.

    Raises:
        ValueError: If a file is no image or an output is not finite.
    """
    require(top >= 1, "top", top, "at least 1")
    if not files:
        raise ValueError("There is no image to classify; give one file or more.")
    return tuple(_predict(model, files, top))


def _predict(model: OpenModel, files: Sequence[str | Path], top: int) -> Iterator[Prediction]:
    for start in range(0, len(files), _BATCH):
        batch = files[start : start + _BATCH]
        shape, resizing = model.metadata.image_shape, model.metadata.resizing
        images = np.stack([read_image(Path(file), shape, resizing) for file in batch])
        rows = model.logits(images)
        if rows.shape != (len(batch), len(model.metadata.classes)):
            raise ValueError(
                f"The network gives {rows.shape[-1]} outputs, but its file names "
                f"{len(model.metadata.classes)} classes."
            )
        for file, logits in zip(batch, rows, strict=True):
            if not np.isfinite(logits).all():
                raise ValueError(f"The network's outputs for {file} are not finite numbers.")
            chances = probabilities(logits)
            best = np.argsort(-chances, kind="stable")[:top]
            likely = tuple((model.metadata.classes[i], float(chances[i])) for i in best)
            yield Prediction(str(file), likely)


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the softmax over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
    shares: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return shares
