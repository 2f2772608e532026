"""Prediction: classes of image files by a trained or exported network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optuna_de._checks import require
from optuna_de.cnn.data.reading.images import SUFFIXES, DataError, read_image
from optuna_de.cnn.export.classifier import OpenModel

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predicted classes of one image.

    Args:
        file: The image file, as it was given or found.
        likely: (class, probability in [0, 1]) of the most probable classes, the best first;
            empty if the file could not be read.
        problem: Why the file could not be read, in a sentence; else empty.
    """

    file: str
    likely: tuple[tuple[str, float], ...] = ()
    problem: str = ""


def predict(
    model: OpenModel, files: Sequence[str | Path], *, top: int = 3
) -> tuple[Prediction, ...]:
    """Predict classes of image files, see :func:`read_image`.

    A file that is no image gets a prediction that says so; the others are classified.

    Args:
        model: See :func:`optuna_de.cnn.export.formats.open_model`.
        files: One or more; of a folder, all images below it, by name.
        top: Number of classes to return of each image, at least 1.

    Raises:
        ValueError: If a file does not exist, a folder has no image, or an output is not finite.

    Example:
        >>> predict(open_model("net.onnx"), ["photos"])[0].likely
    """
    require(top >= 1, "top", top, "at least 1")
    if not files:
        raise ValueError("There is no image to classify; give one file or more.")
    return tuple(_predict(model, [one for file in files for one in image_files(file)], top))


def image_files(path: str | Path) -> Sequence[str | Path]:
    """Return the image files to predict: a file itself, or those below a folder by their names.

    Raises:
        ValueError: If there is no such file, or the folder has no image.
    """
    place = Path(path)
    if not place.is_dir():
        if not place.exists():
            raise ValueError(f"There is no image {place}.")
        return [path]
    images = sorted(f for f in place.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())
    if not images:
        raise ValueError(f"{place} is no folder with images.")
    return images


def _predict(model: OpenModel, files: Sequence[str | Path], top: int) -> Iterator[Prediction]:
    for start in range(0, len(files), _BATCH):
        batch = [(str(file), _read(model, Path(file))) for file in files[start : start + _BATCH]]
        images = [image for _, image in batch if not isinstance(image, str)]
        rows = iter(_logits(model, images) if images else ())
        for file, image in batch:
            if isinstance(image, str):
                yield Prediction(file, problem=image)
            else:
                yield Prediction(file, _likely(model, file, next(rows), top))


def _read(model: OpenModel, file: Path) -> NDArray[np.uint8] | str:
    """Return an image as the network takes it, or why it cannot be read."""
    try:
        return read_image(file, model.metadata.image_shape, model.metadata.resizing)
    except DataError as error:
        return str(error)


def _logits(model: OpenModel, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    rows = model.logits(np.stack(images))
    if rows.shape != (len(images), len(model.metadata.classes)):
        raise ValueError(
            f"The network gives {rows.shape[-1]} outputs, but its file names "
            f"{len(model.metadata.classes)} classes."
        )
    return rows


def _likely(
    model: OpenModel, file: str, logits: NDArray[np.float32], top: int
) -> tuple[tuple[str, float], ...]:
    if not np.isfinite(logits).all():
        raise ValueError(f"The network's outputs for {file} are not finite numbers.")
    chances = probabilities(logits)
    best = np.argsort(-chances, kind="stable")[:top]
    return tuple((model.metadata.classes[i], float(chances[i])) for i in best)


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the softmax over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
    shares: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return shares
