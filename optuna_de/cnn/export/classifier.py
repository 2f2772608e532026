"""What an exported network is, whatever its file; ``writing`` and ``opening`` know the formats.

An exported network takes images as they are, uint8 (n, c, h, w) in 0..255, for any n, and returns
logits (n, classes); the normalisation is part of it. Its file says its classes and shape as JSON:
in the metadata of ``.onnx`` and ``.safetensors``, in an extra file of ``.pt2``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from optuna_de.cnn.architecture.genomes import parse, render
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.export.model_folder import TrainedModel
from optuna_de.cnn.modules.build import build

FORMAT = "optuna_de export 1"
KEY = "optuna_de"
EXTRA_FILE = f"{KEY}.json"
Run: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a file says of its network: the fields of :class:`TrainedModel` in JSON's types."""

    architecture: str
    image_shape: ImageShape
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, saved: TrainedModel) -> ModelMetadata:
        """Describe a trained network."""
        shape, classes = saved.image_shape, saved.classes
        return cls(render(saved.genome), shape, classes, saved.mean, saved.std)

    def json(self) -> str:
        """Return the text that files hold; :func:`read_facts` inverts it."""
        return json.dumps({"format": FORMAT, **asdict(self)})


class Classifier(nn.Module):
    """A network and its normalisation.

    Args:
        layers: Maps normalised float (n, c, h, w) to logits (n, classes).
        mean: Mean of each channel of images in [0, 1].
        std: Deviation of each channel, above 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (n, c, h, w) to logits (n, classes)."""
        scaled = images.to(torch.float32) / 255
        logits: Tensor = self.layers((scaled - self.mean) / self.std)
        return logits


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A network to ask: ``run`` maps uint8 (n, c, h, w) to logits float32 (n, classes)."""

    facts: ModelMetadata
    run: Run


def need(*modules: str) -> None:
    """Refuse to go on where a module of the extra ``export`` is not installed."""
    for module in modules:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            raise ValueError(
                f'{error.name} is missing; install the package as "optuna-de[export]".'
            ) from None


def runner(module: Callable[[Tensor], Tensor]) -> Run:
    """Return a module as a function of arrays."""

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            logits: NDArray[np.float32] = module(torch.from_numpy(images)).numpy()
        return logits

    return run


def read_facts(text: str | None, path: Path) -> ModelMetadata:
    """Read what a file says of its network.

    Raises:
        ValueError: Where it says nothing, or nothing that fits.
    """
    try:
        told = json.loads(text or "")
        shape, classes = tuple(told["image_shape"]), tuple(told["classes"])
        numbers = (*shape, *told["mean"], *told["std"])
        right = (
            told["format"] == FORMAT
            and len(shape) == 3
            and all(isinstance(side, int) and side > 0 for side in shape)
            and len(classes) > 0
            and all(isinstance(name, str) for name in (*classes, told["architecture"]))
            and all(isinstance(number, int | float) for number in numbers)
            and len(told["mean"]) == len(told["std"]) == shape[0]
        )
    except (ValueError, TypeError, KeyError):
        right = False
    if not right:
        raise ValueError(f"{path} does not say its classes; it is none of optuna-de export.")
    return ModelMetadata(
        told["architecture"],
        shape,
        classes,
        *(tuple(map(float, told[k])) for k in ("mean", "std")),
    )


def rebuild(facts: ModelMetadata, state: Mapping[str, Tensor], path: Path) -> Classifier:
    """Build the described network with weights of a file.

    Raises:
        ValueError: Where they do not fit.
    """
    try:
        layers = build(parse(facts.architecture), facts.image_shape, len(facts.classes))
        classifier = Classifier(layers, facts.mean, facts.std)
        classifier.load_state_dict(state)
    except (ValueError, RuntimeError, AttributeError, TypeError):
        raise ValueError(
            f"The weights of {path} are not those of {facts.architecture[:80]} with "
            f"{len(facts.classes)} classes."
        ) from None
    return classifier.eval()
