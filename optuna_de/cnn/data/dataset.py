"""Images and labels in memory: splits, fingerprint and moments."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels.

    Args:
        images: uint8 (n, c, h, w), in the memory format channels_last.
        labels: int64 (n,), indices of classes.
    """

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> Split:
        """Return the split on a device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class ImageData:
    """What the objective may see of a set: no test split.

    Args:
        name: "digits", "CIFAR10", or the folder's name.
        classes: Names of the classes, two or more.
        train: What networks are trained on.
        validation: What they are scored on.
        mean: Mean of each channel (c,) of the training split, images in [0, 1].
        std: Deviation of each channel (c,), above 0; 1 for a channel that never varies.
        split_seed: The seed of the splits.
        fingerprint: 16 hexadecimal digits of the SHA-256 of images, labels, classes and splits.
        summary: The source and its splits in one sentence; it depends on this machine's paths.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    split_seed: int
    fingerprint: str
    summary: str = ""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width (c, h, w)."""
        _, c, h, w = self.train.images.shape
        return c, h, w

    def to(self, device: torch.device | str) -> ImageData:
        """Return the set with its images and labels on a device."""
        return replace(self, train=self.train.to(device), validation=self.validation.to(device))


def moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of each channel of uint8 images (n, c, h, w), as of [0, 1].

    Exact, from the counts of the 256 values; the deviation of a channel that never varies is 1.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in images.unbind(1):
        counts = torch.bincount(channel.reshape(-1), minlength=256).double()
        mean = (counts @ values / counts.sum()).item()
        variance = (counts @ (values - mean) ** 2 / counts.sum()).item()
        means.append(mean)
        stds.append(math.sqrt(variance) if int((counts > 0).sum()) > 1 else 1.0)
    return tuple(means), tuple(stds)


def fingerprint(
    classes: Sequence[str],
    splits: Sequence[tuple[Tensor, Tensor]],
    indices: Sequence[NDArray[np.int64]],
) -> str:
    """Return 16 hexadecimal digits that tell sets and their splits apart.

    Args:
        classes: Names of the classes.
        splits: Images uint8 (n, c, h, w) and labels int64 (n,) of each split.
        indices: Where in the set the images of each split lie, int64 (n,).
    """
    digest = hashlib.sha256(json.dumps(classes).encode())
    for (images, labels), chosen in zip(splits, indices, strict=True):
        digest.update(json.dumps(images.shape).encode())
        digest.update(images.permute(0, 2, 3, 1).contiguous().numpy().data)
        digest.update(labels.numpy().astype("<i8").tobytes())
        digest.update(chosen.astype("<i8").tobytes())
    return digest.hexdigest()[:16]
