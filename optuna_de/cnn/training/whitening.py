"""Whitening of images: the fixed weights of a network that begins with such a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from optuna_de.cnn.data import augmentation
from optuna_de.cnn.data.store.mapped_images import blocks, take
from optuna_de.cnn.modules.custom_layers import Whitening

if TYPE_CHECKING:
    from optuna_de.cnn.data.dataset import ImageData

_IMAGES, _BLOCK = 5000, 250
_LEAST = 5e-4  # added to every variance, as airbench94 does


def whiten(model: nn.Module, data: ImageData) -> None:
    """Set the weights of a whitening layer at the entrance of a network; others are left.

    Its outputs become the principal components of windows of normalised training images, divided
    by their deviations, the largest first (Jordan, 2024, airbench94).
    """
    first = next((m for m in model.modules() if not any(m.children())), None)
    if not isinstance(first, Whitening):
        return
    variances, axes = torch.linalg.eigh(_second_moment(data, first.kernel_size[0]))
    filters = (axes / (variances + _LEAST).sqrt()).T.flip(0)
    first.set_filters(filters.float())


def _second_moment(data: ImageData, window: int) -> Tensor:
    """Return the mean product of the numbers of a window, float64 (c w^2, c w^2)."""
    n = len(data.train.labels)
    chosen = torch.arange(0, n, -(-n // _IMAGES))
    side = (data.image_shape[1], data.image_shape[2])
    normalise = augmentation.normaliser(data.mean, data.std, side, torch.device("cpu"))
    size = data.image_shape[0] * window**2
    border = max(0, (window - min(side) + 1) // 2)  # none where a window fits into the image
    total, count = torch.zeros((size, size), dtype=torch.float64), 0
    for images in blocks(take(data.train.images, chosen).cpu(), _BLOCK):
        windows = F.unfold(normalise(images), window, padding=border).movedim(1, -1).flatten(0, 1)
        total += windows.T @ windows
        count += len(windows)
    return total / count
