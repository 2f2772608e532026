"""Channel padding to multiples of eight, which tensor cores require for full speed.

NVIDIA, Convolutional Layers User's Guide, section 1: in 16 bits, numbers of channels should be
divisible by 8. A new channel c has weights, scale and shift of 0 on both of its sides, so its map
x_c is 0, and so are the gradients of all that it touches: dL/dw = g x with x = 0 behind it, g = 0
before it. Outputs and training stay as they were, but for the order of sums and for dropout's
draws. Each tensor of the network is the leading block of the padded one's.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from optuna_de.cnn.modules.custom_layers import Add, Concat, Multiply

MULTIPLE = 8
_ZERO_TO_ZERO = (
    *(nn.ReLU, nn.SiLU, nn.GELU, nn.Hardswish, nn.Flatten, nn.Dropout),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
)


@dataclass(frozen=True, slots=True)
class Width:
    """Channels between two layers, as given and with channel padding."""

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
        The copy; or ``model`` itself if it has a layer that cannot be padded exactly, such as a
        grouped convolution or a norm over channels.
    """
    wide = deepcopy(model)
    try:
        _widen(wide, Width(image_channels, image_channels))
    except _InexactError:
        return model
    return wide


def block(tensor: Tensor, given: Tensor) -> Tensor:
    """Return the leading channels of a padded tensor, those of the given one, as a view."""
    return tensor[tuple(slice(size) for size in given.shape)]


def copy_back(wide: nn.Module, model: nn.Module) -> None:
    """Copy a network's state back without the channel padding."""
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
        case Multiply():
            return _gated(module, width)
        case Concat():
            return _joined(module, width)
        case nn.Conv2d():
            return _convolution(module, width, _rounded(module.out_channels))
        case nn.BatchNorm2d():
            return _norm(module, width)
        case nn.Linear():
            return _linear(module, width)
    if isinstance(module, _ZERO_TO_ZERO):
        return width
    raise _InexactError


def _same(widths: list[Width]) -> Width:
    if len(set(widths)) > 1:
        raise _InexactError
    return widths[0]


def _gated(module: Multiply, width: Width) -> Width:
    """Pad both factors; a gate may end in a sigmoid, although that maps 0 to 1/2.

    With y = a b and a = 0 in the padding, y = 0 and dL/db = g a = 0 whatever b is there, and
    dL/da = g b = 0, for the layers behind send back g = 0.
    """
    first, *gates = module.branches
    paths = [list(gate.children()) for gate in gates]
    ends = [path[:-1] if path and isinstance(path[-1], nn.Hardsigmoid) else path for path in paths]
    return _same([_widen(first, width), *(_widen(nn.Sequential(*path), width) for path in ends)])


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
