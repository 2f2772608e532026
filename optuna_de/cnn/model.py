"""From a genome to a torch module; the layers are those that the counts count.

Weights start as PyTorch's own layers do (Kaiming uniform with a = sqrt(5), and for batch
normalisation scale 1, shift 0), the seed's among them. Draw them under `torch.manual_seed`; under
`torch.device("meta")` nothing is allocated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from optuna_de.cnn.layers import (
    AVG_POOL,
    DROP,
    FLATTEN,
    GLOBAL_POOL,
    MAX_POOL,
    RELU,
    Add,
    BatchNorm2d,
    Concat,
    Conv2d,
    ImageShape,
    Linear,
    Op,
    Plain,
    lower,
)
from optuna_de.cnn.units import Unit

_PLAIN: dict[Plain, Callable[[], nn.Module]] = {
    RELU: lambda: nn.ReLU(inplace=True),
    MAX_POOL: lambda: nn.MaxPool2d(2),
    AVG_POOL: lambda: nn.AvgPool2d(2),
    GLOBAL_POOL: lambda: nn.AdaptiveAvgPool2d(1),
    FLATTEN: lambda: nn.Flatten(),
    DROP: lambda: nn.Dropout(0.5),
}


class Sum(nn.Module):
    """The sum of a body and a skip that are given the same images."""

    def __init__(self, body: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to the sum's shape."""
        total: Tensor = self.body(x) + self.skip(x)
        return total


class Branches(nn.Module):
    """Paths that are given the same images, joined along the channels."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, sum of the branches' channels, h, w)."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def build(genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> nn.Sequential:
    """Build the network of a genome.

    Args:
        genome: Units, such as ``repair`` returns them.
        image_shape: (channels, height, width).
        classes: Outputs of the classifier.

    Returns:
        A module that maps (n, channels, height, width) to logits (n, classes).

    Raises:
        ValueError: Where the genome does not fit the images, as ``lower`` says.
    """
    return _path(lower(genome, image_shape, classes))


def _path(ops: Sequence[Op]) -> nn.Sequential:
    return nn.Sequential(*map(_module, ops))


def _module(op: Op) -> nn.Module:
    match op:
        case Conv2d(inputs, outputs, kernel, stride, groups, bias):
            return nn.Conv2d(
                inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias
            )
        case BatchNorm2d(channels):
            return nn.BatchNorm2d(channels)
        case Linear(inputs, outputs):
            return nn.Linear(inputs, outputs)
        case Plain():
            return _PLAIN[op]()
        case Add(body, skip):
            return Sum(_path(body), _path(skip))
        case Concat(branches):
            return Branches([_path(branch) for branch in branches])
