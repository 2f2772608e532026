"""TTA: test-time augmentation, the mean of a network's logits over views of each image.

An exported Python file holds a copy of :func:`averaged_logits`, which uses ``torch`` only.
"""

import torch
from torch import nn

TTA = {"none": 1, "flips": 2, "flips-shifts": 6}
"""Passes through the network that an image costs, by the name of its views."""


def averaged_logits(network: nn.Module, images: torch.Tensor, tta: str) -> torch.Tensor:
    """Map normalised images (n, c, h, w) to logits (n, classes), the mean over views.

    "flips" averages an image and its mirror image; "flips-shifts" halves that weight and gives
    the rest to the image shifted by a pixel both ways up and down the diagonal, and mirrored.
    """
    mean: torch.Tensor = network(images)
    if tta != "none":
        mean = (mean + network(images.flip(3))) / 2
    if tta != "flips-shifts":
        return mean
    height, width = images.shape[2:]
    bordered = torch.nn.functional.pad(images, [1, 1, 1, 1], "reflect")
    for shifted in (bordered[:, :, :height, :width], bordered[:, :, 2:, 2:]):
        mean = mean + (network(shifted) + network(shifted.flip(3))) / 4
    return mean / 2


class Averaged(nn.Module):
    """A network with TTA; its weights keep their names behind ``network.``."""

    def __init__(self, network: nn.Module, tta: str) -> None:
        super().__init__()
        self.network, self.tta = network, tta

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map normalised images (n, c, h, w) to logits (n, classes)."""
        return averaged_logits(self.network, images, self.tta)


def check_tta(tta: str) -> None:
    """Check the name of TTA.

    Raises:
        ValueError: If there is none of that name.
    """
    if tta not in TTA:
        raise ValueError(f"tta is {tta!r}, but must be one of {', '.join(TTA)}.")
