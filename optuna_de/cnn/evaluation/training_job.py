"""Training job: network, data, recipe, seed and device of one final training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from optuna_de._checks import require, require_utf8
from optuna_de.cnn.architecture.genomes import Genome, render
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.export.model_folder import TrainedModel
from optuna_de.cnn.export.teacher import described_teacher
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.modules.tta import check_tta
from optuna_de.cnn.recipes import Recipe
from optuna_de.cnn.training.device import uses_bfloat16

ROUNDED = "quantize-aware epochs"
"""Entry of a setup: the epochs behind the others in which numbers were rounded to int8."""
STRETCHED = "stretched from epochs"
"""Entry of a setup: what a training that went on was planned for before."""


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """Description of one final training: network, data, recipe and seed.

    Args:
        genome: The network.
        data: Training and validation splits.
        recipe: How to train.
        epochs: 1 or more.
        batch_size: Images of a step, 1 or more.
        seed: Of weights, order and augmentation.
        device: Device to train on.
        keep_validation: Whether the validation split is kept out of training, to choose an epoch.
        last_epoch: Whether the last epoch is kept all the same: the split then only scores.
        origin: Source of the network in words, for the record.
        stretched_from: Shorter numbers of epochs that the training began with: it went on, and
            its schedule was stretched.
        objectives: What a search measured of it, by metric name, for the record.
        tta: Test-time augmentation of the trained network, see :mod:`optuna_de.cnn.modules.tta`.
            The test split is scored with and without.
        teacher: Trained model from which it learns, too (distillation); or None.
        quantize_aware: Whether a fifth as many epochs follow in which weights and activations
            are rounded to int8, see :attr:`tuning`.

    Raises:
        ValueError: If a number is out of range, the network does not fit the images, or a name
            cannot be written to files.
    """

    genome: Genome
    data: ImageData
    recipe: Recipe
    epochs: int
    batch_size: int
    seed: int = 0
    device: torch.device | str = "cpu"
    keep_validation: bool = False
    last_epoch: bool = False
    origin: str = ""
    stretched_from: tuple[int, ...] = ()
    objectives: Mapping[str, float] = field(default_factory=dict)
    tta: str = "none"
    teacher: TrainedModel | None = None
    quantize_aware: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        check_tta(self.tta)
        check_mirrored(self.tta, self.recipe, self.data.name)
        for text in (self.data.name, self.origin, *self.data.classes):
            require_utf8(text)
        with torch.device("meta"):
            self._build()

    def setup(self) -> dict[str, Any]:
        """Return all that a resumed training must share, as JSON has it."""
        device, shape = torch.device(self.device), self.data.image_shape
        half = uses_bfloat16(self.recipe.precision, device, shape)
        setup: dict[str, Any] = {
            "architecture": render(self.genome),
            "origin": self.origin,
            "data": self.data.name,
            "data fingerprint": self.data.fingerprint,
            "split seed": self.data.split_seed,
            "train images": len(self.data.train.labels),
            "validation images": len(self.data.validation.labels),
            "validation": "kept apart" if self.keep_validation else "trained on",
            "image shape": list(shape),
            "classes": list(self.data.classes),
            "recipe": self.recipe.settings(),
            "epochs": self.epochs,
            "batch size": self.batch_size,
            "seed": self.seed,
            "device": device.type,
            "threads": torch.get_num_threads() if device.type == "cpu" else None,
            "precision": "bfloat16" if half else "float32",
            **({} if self.tta == "none" else {"tta": self.tta}),
        }
        if self.stretched_from:
            setup[STRETCHED] = self.stretched_from
        if self.quantize_aware:
            setup[ROUNDED] = self.tuning.epochs
        metric = {} if self.data.metric == "error" else {"metric": self.data.metric}
        values = {"objectives": dict(self.objectives)} if self.objectives else {}
        taught = {"teacher": described_teacher(self.teacher)} if self.teacher else {}
        return dict(json.loads(json.dumps({**setup, **metric, **values, **taught})))

    @property
    def tuning(self) -> TrainingJob:
        """The quantize-aware part: a tenth of the rates, in float32, from the trained weights."""
        tenth = {
            name: getattr(self.recipe, name) / 10 for name in ("learning_rate", "matrix_rate")
        }
        recipe = replace(
            self.recipe,
            name=f"{self.recipe.name}, int8",
            initialisation="torch",
            precision="float32",
            **tenth,
        )
        epochs = -(-self.epochs // 5)
        return replace(self, recipe=recipe, epochs=epochs, stretched_from=(), quantize_aware=False)

    @property
    def total_epochs(self) -> int:
        """Epochs of all parts."""
        return self.epochs + (self.tuning.epochs if self.quantize_aware else 0)

    def network(self) -> nn.Sequential:
        """Build the network with the weights that the seed gives."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self._build()

    def _build(self) -> nn.Sequential:
        return build(self.genome, self.data.image_shape, len(self.data.classes))


def check_mirrored(tta: str, recipe: Recipe, data: str) -> None:
    """Check that a recipe mirrors the images of a set if their mirror images are averaged.

    Raises:
        ValueError: If it does not.
    """
    if tta != "none" and not recipe.flip:
        raise ValueError(
            f"tta is {tta!r}, but images of {data} are not mirrored in training, so it must be "
            "none."
        )
