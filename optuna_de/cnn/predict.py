"""Classifying image files with a trained or exported network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from optuna_de.cnn.decode import DataError, decode
from optuna_de.cnn.portable import Opened
from optuna_de.cnn.primitives import ImageShape

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


def predict(model: Opened, files: Sequence[str | Path], *, top: int = 3) -> tuple[Prediction, ...]:
    """Classify image files, see :func:`read_image`.

    Args:
        model: See :func:`optuna_de.cnn.opening.open_model`.
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


def _predict(model: Opened, files: Sequence[str | Path], top: int) -> Iterator[Prediction]:
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


def read_image(path: Path, shape: ImageShape) -> NDArray[np.uint8]:
    """Read an image file as uint8 (c, h, w), as the data of a training is read.

    It is turned upright, resized until it covers (h, w) and cropped about its centre; a grey
    network sees colours as grey, a colour network grey in each of three channels.

    Raises:
        DataError: Where there is no image, it has more than 8 bits a channel, or c is not 1 or 3.
    """
    if not path.is_file():
        raise DataError(f"There is no image {path}.")
    pixels = decode(path, None)
    return fit_to(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), shape)


def fit_to(image: Image.Image, shape: ImageShape) -> NDArray[np.uint8]:
    """Bring an image of mode L or RGB to uint8 (c, h, w)."""
    channels, height, width = shape
    if channels not in (1, 3):
        raise DataError(f"The network takes {channels} channels, but image files have 1 or 3.")
    fitted = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = np.array(fitted.convert("L" if channels == 1 else "RGB"), np.uint8)
    planes: NDArray[np.uint8] = pixels.reshape(height, width, channels).transpose(2, 0, 1)
    return planes
