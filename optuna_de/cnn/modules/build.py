"""From a genome to a torch module; the layers are those that the counts count.

Weights start as PyTorch's own layers do (Kaiming uniform with a = sqrt(5), and for batch
normalisation scale 1, shift 0), the seed's among them. Draw them under `torch.manual_seed`; under
`torch.device("meta")` nothing is allocated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.layers import (
    BatchNorm2d,
    Branches,
    Conv2d,
    ImageShape,
    Linear,
    Plain,
    Primitive,
)
from optuna_de.cnn.architecture.units import Unit

_MOST = 10**12  # parameters: 4 TB of weights; far more would overflow torch's sizes
_PLAIN: dict[str, Callable[[], nn.Module]] = {
    "ReLU": lambda: nn.ReLU(inplace=True),
    "MaxPool2d": lambda: nn.MaxPool2d(2),
    "AvgPool2d": lambda: nn.AvgPool2d(2),
    "GlobalAvgPool2d": lambda: nn.AdaptiveAvgPool2d(1),
    "Flatten": lambda: nn.Flatten(),
    "Dropout": lambda: nn.Dropout(0.5),
}


class Add(nn.Module):
    """The sum of paths that are given the same images; an empty path is the identity."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to the shape of every path's output."""
        total: Tensor = sum(branch(x) for branch in self.branches)
        return total


class Concat(nn.Module):
    """Paths that are given the same images, joined by channel."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, sum of the paths' channels, h, w)."""
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
        ValueError: If the genome does not fit the images, as ``expand`` says, or has more than
            10^12 parameters.
    """
    parameters = count_parameters(genome, image_shape, classes)
    if parameters > _MOST:
        raise ValueError(
            f"The network has {parameters:,} parameters, but at most {_MOST:,} can be built."
        )
    stages = expand(genome, image_shape, classes)
    return _path([primitive for stage in stages for primitive in stage])


def _path(primitives: Sequence[Primitive]) -> nn.Sequential:
    return nn.Sequential(*map(_module, _pooled_first(primitives)))


def _pooled_first(primitives: Sequence[Primitive]) -> list[Primitive]:
    """Put ReLUs behind the maximum pools that follow them, where they see a quarter of the data.

    Outputs, gradients and the names of weights are the same: the maximum commutes with a monotone
    function, and neither layer has weights.
    """
    order = list(primitives)
    for i in range(len(order) - 1):
        if order[i : i + 2] == [Plain("ReLU"), Plain("MaxPool2d")]:
            order[i], order[i + 1] = order[i + 1], order[i]
    return order


def _module(primitive: Primitive) -> nn.Module:
    match primitive:
        case Conv2d(inputs, outputs, kernel, stride, groups, bias):
            return nn.Conv2d(
                inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias
            )
        case BatchNorm2d(channels):
            return nn.BatchNorm2d(channels)
        case Linear(inputs, outputs):
            return nn.Linear(inputs, outputs)
        case Plain(name):
            return _PLAIN[name]()
        case Branches(join, branches):
            paths = [_path(branch) for branch in branches]
            return Add(paths) if join == "Add" else Concat(paths)
