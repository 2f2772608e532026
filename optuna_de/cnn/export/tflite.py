"""TFLite format: a network as a file for LiteRT, converted by litert-torch. Metadata is inside.

A ``.tflite`` is a flatbuffer; files that belong to it, here the metadata, are a zip archive behind
it, as TensorFlow Lite's own metadata have it. The network takes one image at a time.
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from optuna_de.cnn.export.classifier import (
    EXTRA_FILE,
    Classifier,
    LogitsFunction,
    ModelMetadata,
    OpenModel,
    read_metadata,
    require_modules,
)
from optuna_de.cnn.export.model_folder import TrainedModel

MODULES = ("litert_torch", "ai_edge_litert")
"""Modules of the extra ``tflite``."""


class _GlobalMax(nn.Module):
    """The maximum of each channel, which the converter knows by this name only."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c, 1, 1)."""
        return x.amax((2, 3), keepdim=True)


def write_tflite(model: TrainedModel, path: Path) -> LogitsFunction:
    """Write a network to a TFLite file with its metadata; return the logits of that file."""
    import litert_torch

    classifier = Classifier(_convertible(model.module), model.mean, model.std).eval()
    images = torch.zeros((1, *model.image_shape), dtype=torch.uint8)
    with _quiet():
        litert_torch.convert(classifier, (images,)).export(str(path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(EXTRA_FILE, ModelMetadata.of(model).json())
    return open_tflite(path).logits


def _convertible(module: nn.Module) -> nn.Module:
    """Return a copy without layers that the converter does not know."""
    changed = copy.deepcopy(module)
    for parent in list(changed.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.AdaptiveMaxPool2d):
                setattr(parent, name, _GlobalMax())
    return changed


def open_tflite(path: Path) -> OpenModel:
    """Open a TFLite file for :func:`optuna_de.cnn.export.formats.open_model`.

    Raises:
        ValueError: If it is damaged or foreign, or the extra is missing.
    """
    require_modules(MODULES[1], extra="tflite")
    from ai_edge_litert.interpreter import Interpreter

    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(EXTRA_FILE).decode()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError):
        raise ValueError(f"{path} is incomplete or not a TFLite file of optuna-de.") from None
    metadata = read_metadata(text, path)
    try:
        network = Interpreter(model_content=path.read_bytes())
        network.allocate_tensors()
    except (ValueError, RuntimeError):
        raise ValueError(f"{path} is incomplete or not a TFLite file.") from None
    return OpenModel(metadata, _logits(network))


def _logits(network: Any) -> LogitsFunction:
    (given,), (out,) = network.get_input_details(), network.get_output_details()

    def logits(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = []
        for image in images:
            network.set_tensor(given["index"], image[None])
            network.invoke()
            rows.append(network.get_tensor(out["index"])[0].copy())
        return np.stack(rows)

    return logits


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter from telling its steps."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
