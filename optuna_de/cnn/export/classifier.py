"""Exported classifier: network, normalisation and metadata, independent of the file format.

It takes uint8 images (n, c, h, w) in 0..255, for any n, and returns logits (n, classes). Its file
holds classes and shape as JSON: in the metadata of ``.onnx`` and ``.safetensors``, in an extra
file of ``.pt2``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from optuna_de._attributes import read_numbers
from optuna_de.cnn.architecture.genomes import parse, render
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.data.reading.resizing import Resizing, described_resizing
from optuna_de.cnn.export.model_folder import TrainedModel
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.modules.tta import TTA, averaged_logits

FORMAT = "optuna_de export 1"
KEY = "optuna_de"
EXTRA_FILE = f"{KEY}.json"
LogitsFunction: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """Metadata in a file: the fields of :class:`TrainedModel` in JSON's types."""

    architecture: str
    image_shape: ImageShape
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resizing: Resizing = Resizing()  # noqa: RUF009 (it is frozen)
    objectives: Mapping[str, float] = field(default_factory=dict)
    tta: str = "none"

    @classmethod
    def of(cls, model: TrainedModel) -> ModelMetadata:
        """Describe a trained network."""
        shape, classes = model.image_shape, model.classes
        return cls(
            *(render(model.genome), shape, classes, model.mean, model.std, model.resizing),
            model.objectives,
            model.tta,
        )

    def json(self) -> str:
        """Return the text that files hold; :func:`read_metadata` reads it."""
        content = {**asdict(self), **self.resizing.described()}
        del content["resizing"]
        if not self.objectives:
            del content["objectives"]
        if self.tta == "none":
            del content["tta"]
        return json.dumps({"format": FORMAT, **content})


class Classifier(nn.Module):
    """A network and its normalisation.

    Args:
        layers: Maps normalised float (n, c, h, w) to logits (n, classes).
        mean: Mean of each channel of images in [0, 1].
        std: Deviation of each channel, above 0.
        tta: Views that are averaged, see :mod:`optuna_de.cnn.modules.tta`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, layers: nn.Module, mean: Sequence[float], std: Sequence[float], tta: str = "none"
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        self.layers = layers
        self.tta = tta

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (n, c, h, w) to logits (n, classes)."""
        scaled = images.to(torch.float32) / 255
        return averaged_logits(self.layers, (scaled - self.mean) / self.std, self.tta)


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model ready for prediction: ``logits`` maps uint8 (n, c, h, w) to float32 (n, classes)."""

    metadata: ModelMetadata
    logits: LogitsFunction


def require_modules(*modules: str, extra: str = "export") -> None:
    """Check that modules of an extra are installed.

    Raises:
        ValueError: If one is missing.
    """
    for module in modules:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            raise ValueError(
                f'{error.name} is missing; install the package as "optuna-de[{extra}]".'
            ) from None


def on_arrays(module: Callable[[Tensor], Tensor]) -> LogitsFunction:
    """Return a module as a function of arrays, without gradients."""

    def logits_of(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            logits: NDArray[np.float32] = module(torch.from_numpy(images)).numpy()
        return logits

    return logits_of


def read_metadata(text: str | None, path: Path) -> ModelMetadata:
    """Read the metadata of a file.

    Raises:
        ValueError: If there is none, or it is not valid.
    """
    try:
        content = json.loads(text or "")
        shape, classes = tuple(content["image_shape"]), tuple(content["classes"])
        numbers = (*shape, *content["mean"], *content["std"])
        right = (
            content["format"] == FORMAT
            and len(shape) == 3
            and all(isinstance(side, int) and side > 0 for side in shape)
            and len(classes) > 0
            and all(isinstance(name, str) for name in (*classes, content["architecture"]))
            and all(isinstance(number, int | float) for number in numbers)
            and len(content["mean"]) == len(content["std"]) == shape[0]
            and content.get("tta", "none") in TTA
        )
        resizing = described_resizing(content)
    except (ValueError, TypeError, KeyError, AttributeError):
        right = False
    if not right:
        raise ValueError(f"{path} does not name its classes; optuna-de export did not write it.")
    return ModelMetadata(
        content["architecture"],
        shape,
        classes,
        tuple(map(float, content["mean"])),
        tuple(map(float, content["std"])),
        resizing,
        read_numbers(content.get("objectives")) or {},
        content.get("tta", "none"),
    )


def rebuild_classifier(
    metadata: ModelMetadata, state: Mapping[str, Tensor], path: Path
) -> Classifier:
    """Build the described network with weights of a file.

    Raises:
        ValueError: If they do not fit.
    """
    try:
        layers = build(parse(metadata.architecture), metadata.image_shape, len(metadata.classes))
        classifier = Classifier(layers, metadata.mean, metadata.std, metadata.tta)
        classifier.load_state_dict(state)
    except (ValueError, RuntimeError, AttributeError, TypeError):
        raise ValueError(
            f"The weights of {path} are not those of {metadata.architecture[:80]} with "
            f"{len(metadata.classes)} classes."
        ) from None
    return classifier.eval()
