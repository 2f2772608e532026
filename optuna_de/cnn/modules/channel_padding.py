"""Channels padded to multiples of eight, as the matrix units of graphics cards want them.

NVIDIA, Convolutional Layers User's Guide, section 1: in 16 bits, numbers of channels should be
divisible by 8. A new channel has weights, scale and shift of 0, so it carries 0 and its gradients
are 0: outputs and training stay as they were, but for the order of sums and for dropout's draws.
Each tensor of the network is the leading block of the padded one's.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from optuna_de.cnn.modules.custom_layers import Add, Concat

MULTIPLE = 8
_KEEPING = (nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout)


@dataclass(frozen=True, slots=True)
class Width:
    """Channels between two layers: those of the given network, and with the padding."""

    given: int
    padded: int


class _InexactError(Exception):
    """A layer that cannot be padded without changing what the network computes."""


def padded(model: nn.Module, image_channels: int) -> nn.Module:
    """Return a copy of a network whose convolutions have outputs in multiples of eight.

    The images keep their channels and the fully connected layers their outputs.

    Args:
        model: Of the layers that :func:`optuna_de.cnn.modules.build.build` uses.
        image_channels: Channels of its images.

    Returns:
        The copy; or ``model`` itself where a layer is unknown or padding would not be exact.
    """
    wide = deepcopy(model)
    try:
        _widen(wide, Width(image_channels, image_channels))
    except _InexactError:
        return model
    return wide


def block(tensor: Tensor, given: Tensor) -> Tensor:
    """Return the view of a padded tensor that holds the values of the given one."""
    return tensor[tuple(slice(size) for size in given.shape)]


def copy_back(wide: nn.Module, model: nn.Module) -> None:
    """Copy the state of a padded network into the one that it was made of."""
    values = wide.state_dict()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(block(values[name], tensor))


def _rounded(channels: int) -> int:
    return -(-channels // MULTIPLE) * MULTIPLE


def _widen(module: nn.Module, width: Width) -> Width:
    """Pad a module in place; returns the width behind it."""
    match module:
        case nn.Sequential():
            for part in module:
                width = _widen(part, width)
            return width
        case Add():
            return _same([_widen(branch, width) for branch in module.branches])
        case Concat():
            return _joined(module, width)
        case nn.Conv2d():
            return _convolution(module, width, _rounded(module.out_channels))
        case nn.BatchNorm2d():
            return _norm(module, width)
        case nn.Linear():
            return _linear(module, width)
    if isinstance(module, _KEEPING):
        return width
    raise _InexactError


def _same(widths: list[Width]) -> Width:
    if len(set(widths)) > 1:
        raise _InexactError
    return widths[0]


def _joined(module: Concat, width: Width) -> Width:
    """Pad behind the last branch only, so that the given channels stay the leading ones."""
    paths = [list(branch.children()) for branch in module.branches]
    firsts = [path[0] for path in paths if isinstance(path[0], nn.Conv2d)]
    if len(firsts) < len(paths):
        raise _InexactError
    outputs = [first.out_channels for first in firsts]
    total = Width(sum(outputs), _rounded(sum(outputs)))
    padding = [0] * (len(paths) - 1) + [total.padded - total.given]
    for first, path, more in zip(firsts, paths, padding, strict=True):
        behind = _convolution(first, width, first.out_channels + more)
        if _widen(nn.Sequential(*path[1:]), behind) != behind:
            raise _InexactError
    return total


def _convolution(layer: nn.Conv2d, width: Width, outputs: int) -> Width:
    kernel, given = layer.kernel_size, layer.out_channels
    if layer.groups == 1:
        _resize(layer, "weight", (outputs, width.padded, *kernel))
    elif layer.groups == layer.in_channels == layer.out_channels:
        outputs = layer.groups = width.padded
        _resize(layer, "weight", (outputs, 1, *kernel))
    else:
        raise _InexactError
    _resize(layer, "bias", (outputs,))
    layer.in_channels, layer.out_channels = width.padded, outputs
    return Width(given, outputs)


def _norm(layer: nn.BatchNorm2d, width: Width) -> Width:
    for name in ("weight", "bias", "running_mean", "running_var"):
        _resize(layer, name, (width.padded,))
    layer.num_features = width.padded
    return width


def _linear(layer: nn.Linear, width: Width) -> Width:
    inputs = layer.in_features // width.given * width.padded  # a flattened channel is one block
    _resize(layer, "weight", (layer.out_features, inputs))
    layer.in_features = inputs
    return Width(layer.out_features, layer.out_features)


def _resize(layer: nn.Module, name: str, shape: tuple[int, ...]) -> None:
    """Put a tensor of the layer into the corner of zeros."""
    old: Tensor | None = getattr(layer, name)
    if old is None:
        return
    new = old.detach().new_zeros(shape)
    block(new, old).copy_(old.detach())
    trained = isinstance(old, nn.Parameter)
    setattr(layer, name, nn.Parameter(new, requires_grad=old.requires_grad) if trained else new)
