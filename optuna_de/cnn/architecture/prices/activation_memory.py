"""Price: activation memory, the peak of the tensors that are alive at once for one image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.layers import (
    Branches,
    ChannelNorm,
    Conv2d,
    ImageShape,
    Linear,
    Plain,
    Primitive,
    Shape,
    through,
)
from optuna_de.cnn.architecture.prices.price import Price
from optuna_de.cnn.architecture.units import Unit

_NEW = (
    *("MaxPool2d", "AvgPool2d", "BoxFilter", "GlobalAvgPool2d", "GlobalMaxPool2d"),
    "SiLU",  # files hold x * sigmoid(x), so x and the sigmoid are alive together
)


def count_activations(genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> int:
    """Return the most activations, numbers of tensors, that are alive at once for one image.

    A layer's input and output are alive together. Norms of convolutions are folded into them;
    activations, sums and products work in place unless their input is needed later. The input of
    branches lives until its last use, an output of a branch until the join; shares of a channel
    split are copies. Branches run from the last to the first, as onnxruntime has it, which walks
    back from the output. The image, normalised, counts; weights do not.

    Raises:
        ValueError: If the genome does not fit the images.
    """
    layers = [layer for unit in expand(genome, image_shape, classes) for layer in unit]
    return _chain(layers, image_shape, kept=False)


def _allocates(layer: Primitive) -> bool:
    """Return whether a layer cannot write its output over its input."""
    new = isinstance(layer, Plain) and layer.kind in _NEW
    return new or isinstance(layer, Conv2d | Linear | ChannelNorm)


def _chain(layers: Sequence[Primitive], shape: Shape, *, kept: bool) -> int:
    """Return the peak of a chain of layers, its input counted.

    Args:
        layers: The layers.
        shape: Shape of their input.
        kept: Whether their input is needed after them.
    """
    held, peak = 0, prod(shape)
    for layer in layers:
        before, after = prod(shape), layer.shape_after(shape)
        if isinstance(layer, Branches):
            own = _branches(layer, shape, kept=kept)
        elif _allocates(layer) or (kept and after == shape):
            own = before + prod(after)
        else:
            own = before
        peak = max(peak, held + own)
        held, kept = held + before * kept, False
        shape = after
    return peak


def _branches(layer: Branches, shape: Shape, *, kept: bool) -> int:
    """Return the peak of branches and their join, their input counted."""
    entering = prod(shape)
    if layer.join == "ChannelSplit":
        return _split(layer, shape, entering * kept)
    peak = outputs = 0
    identity = () in layer.paths
    for number, path in enumerate(reversed(layer.paths), 1):
        needed = kept or number < len(layer.paths) or identity
        peak = max(peak, outputs + _chain(path, shape, kept=needed))
        outputs += prod(through(path, shape)) if path else 0
    alive, after = outputs + entering * (kept or identity), prod(layer.shape_after(shape))
    full = [path for path in layer.paths if prod(through(path, shape)) == after]
    in_place = layer.join != "Concat" and any(path or not kept for path in full)
    return max(peak, alive if in_place else alive + after)


def _split(layer: Branches, shape: Shape, held: int) -> int:
    """Return the peak of a channel split, whose input is needed later if ``held`` is its size."""
    waiting, outputs, peak = prod(shape), 0, 2 * prod(shape)
    for path, entering in zip(layer.paths, layer.inputs(shape), strict=True):
        waiting -= prod(entering)
        peak = max(peak, held + waiting + outputs + _chain(path, entering, kept=False))
        outputs += prod(through(path, entering))
    return max(peak, held + 2 * outputs)


def _kibibytes(bytes_each: int, genome: Sequence[Unit], shape: ImageShape, classes: int) -> float:
    return count_activations(genome, shape, classes) * bytes_each / 1024


ACTIVATION_MEMORY = Price("activation-memory", "KiB", partial(_kibibytes, 1), spec=",.1f")
"""Activation memory of an int8 network, a byte each; see :func:`count_activations`."""
ACTIVATION_MEMORY_FLOAT32 = Price(
    "activation-memory-float32", "KiB", partial(_kibibytes, 4), spec=",.1f"
)
"""Activation memory of a float32 network, four bytes each."""
