"""Classifying image files with a trained or exported network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optuna_de.cnn.data.images import read_image
from optuna_de.cnn.export.classifier import OpenModel

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network takes an image for.

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
        top: Classes to return of each, 1 or more; at most all are.

    Raises:
        ValueError: Where a file is no image or an output is not finite.
    """
    if top < 1:
        raise ValueError(f"top is {top}, but must be 1 or more.")
    if not files:
        raise ValueError("There is no image to classify; give one file or more.")
    return tuple(_predict(model, files, top))


def _predict(model: OpenModel, files: Sequence[str | Path], top: int) -> Iterator[Prediction]:
    for start in range(0, len(files), _BATCH):
        batch = files[start : start + _BATCH]
        images = np.stack([read_image(Path(file), model.facts.image_shape) for file in batch])
        rows = model.run(images)
        if rows.shape != (len(batch), len(model.facts.classes)):
            raise ValueError(
                f"The network gives {rows.shape[-1]} outputs, but its file names "
                f"{len(model.facts.classes)} classes."
            )
        for file, logits in zip(batch, rows, strict=True):
            if not np.isfinite(logits).all():
                raise ValueError(f"The network's outputs for {file} are not finite numbers.")
            chances = probabilities(logits)
            best = np.argsort(-chances, kind="stable")[:top]
            likely = tuple((model.facts.classes[i], float(chances[i])) for i in best)
            yield Prediction(str(file), likely)


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the softmax over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
    shares: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return shares
