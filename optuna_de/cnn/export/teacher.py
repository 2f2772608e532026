"""Teacher of a distillation: a trained model that another training learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from optuna_de.cnn.architecture.genomes import render
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.export.model_folder import TrainedModel, load_model
from optuna_de.cnn.training.checkpoint import weights_digest


class Teacher(nn.Module):
    """Teacher of a distillation: a trained model on images normalised for its student.

    Args:
        model: The trained model.
        mean: Means of each channel by which the images were normalised.
        std: Deviations of each channel.
    """

    factor: Tensor
    shift: Tensor

    def __init__(self, model: TrainedModel, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        ours, theirs = (
            [torch.tensor(values).view(1, -1, 1, 1) for values in pair]
            for pair in ((mean, std), (model.mean, model.std))
        )
        self.register_buffer("factor", ours[1] / theirs[1])
        self.register_buffer("shift", (ours[0] - theirs[0]) / theirs[1])
        self.network = model.module

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, c, h, w) of the student to logits (n, classes)."""
        logits: Tensor = self.network(images * self.factor + self.shift)
        return logits


def load_teacher(folder: Path, data: ImageData) -> TrainedModel:
    """Load the teacher of a distillation from its model folder.

    Raises:
        ValueError: If there is none, or it has other images or classes.
    """
    model = load_model(folder)
    if model.image_shape != data.image_shape or model.classes != tuple(data.classes):
        raise ValueError(
            f"The teacher {folder} tells {len(model.classes)} classes of images of "
            f"{model.image_shape} apart, but the data have {len(data.classes)} classes of "
            f"{data.image_shape}; both must be the same, names included."
        )
    return model


def described_teacher(model: TrainedModel) -> dict[str, Any]:
    """Return what a setup records of a teacher."""
    return {"architecture": render(model.genome), "weights": weights_digest(model.module)}
