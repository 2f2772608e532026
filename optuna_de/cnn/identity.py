"""What tells image sets apart: channel moments and a fingerprint. Knows tensors, no sources."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


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
