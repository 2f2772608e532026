"""Builder of torch modules from genomes; the layers are those that the counts count.

Weights start as PyTorch's own layers do (Kaiming uniform with a = sqrt(5), and for batch
normalisation scale 1, shift 0), the seed's among them. Draw them under `torch.manual_seed`; under
`torch.device("meta")` nothing is allocated.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.layers import ImageShape, Plain, Primitive
from optuna_de.cnn.architecture.units import Unit
from optuna_de.cnn.modules.custom_layers import CUSTOM_LAYERS

_MOST = 10**12  # parameters: 4 TB of weights; far more would overflow torch's sizes


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
    units = expand(genome, image_shape, classes)
    return _path([primitive for layers in units for primitive in layers])


def _path(primitives: Sequence[Primitive]) -> nn.Sequential:
    return nn.Sequential(*map(_module, _pooled_first(primitives)))


def _pooled_first(primitives: Sequence[Primitive]) -> list[Primitive]:
    """Put ReLUs behind the maximum pools that follow them: they see a quarter of the data there.

    Outputs, gradients and the names of weights are the same: the maximum commutes with a monotone
    function, and neither layer has weights.
    """
    order = list(primitives)
    for i in range(len(order) - 1):
        if order[i : i + 2] == [Plain("ReLU"), Plain("MaxPool2d")]:
            order[i], order[i + 1] = order[i + 1], order[i]
    return order


def _module(primitive: Primitive) -> nn.Module:
    call = primitive.call
    made: type[nn.Module] = CUSTOM_LAYERS.get(call.module) or getattr(nn, call.module)
    paths = [_path(path) for path in primitive.paths]
    return made(*paths, *call.arguments, **dict(call.options))
