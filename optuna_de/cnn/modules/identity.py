"""Identity units: new units that leave what passes them as it is (Chen et al., 2016, Net2Net).

A convolution becomes a Dirac kernel, the branch beside a skip ends in a norm of scale 0 (Goyal et
al., 2017), and the norm behind a Dirac kernel undoes itself, by moments of real images. Only
channels that exist on both sides can pass; the others stay as they were drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from optuna_de.cnn.architecture.layers import (
    BatchNorm2d,
    Branches,
    Conv2d,
    Primitives,
    through,
)

Marks = dict[str, Tensor]
"""Names of norms and which of their channels are to undo the norm: bool (channels,)."""


def make_identity(
    layers: Primitives, start: int, prefix: str, state: Mapping[str, Tensor], inputs: int
) -> tuple[Marks, Tensor]:
    """Make a path of layers the identity where it can be, in place.

    Args:
        layers: Primitive layers of the path.
        start: Index of the first in its container.
        prefix: Name of the container with a dot behind it, or nothing.
        state: The network's tensors, by name.
        inputs: Channels that enter.

    Returns:
        Norms to calibrate, and int64 (channels,): which channel of the input each channel of the
        output is, -1 for none.
    """
    marks: Marks = {}
    passing = torch.arange(inputs)
    for i, layer in enumerate(layers, start):
        name = f"{prefix}{i}"
        if isinstance(layer, Conv2d):
            passing = _pass(dirac(layer, state[f"{name}.weight"]), passing)
            if layer.bias:
                state[f"{name}.bias"][passing >= 0] = 0
        elif isinstance(layer, BatchNorm2d):
            marks[name] = passing >= 0
        elif isinstance(layer, Branches):
            branch_marks, taken = _branches(layer, name, state, len(passing))
            marks |= branch_marks
            passing = _pass(taken, passing)
    return marks, passing


def dirac(layer: Conv2d, weight: Tensor, offset: int = 0) -> Tensor:
    """Make output channel o of a convolution the input channel o + offset, where there is one.

    Returns:
        int64 (outputs,): the input channel, or -1 where the weights stay as they were.
    """
    inner, outer = layer.inputs // layer.groups, layer.outputs // layer.groups
    outputs = torch.arange(layer.outputs)
    column = outputs + offset - outputs // outer * inner
    rows = outputs[(column >= 0) & (column < inner)]
    weight[rows] = 0
    weight[rows, column[rows], layer.kernel // 2, layer.kernel // 2] = 1
    taken = torch.full((layer.outputs,), -1)
    taken[rows] = rows + offset
    return taken


def _pass(taken: Tensor, passing: Tensor) -> Tensor:
    return torch.where(taken >= 0, passing[taken.clamp(min=0)], -1)


def _branches(
    layer: Branches, name: str, state: Mapping[str, Tensor], inputs: int
) -> tuple[Marks, Tensor]:
    paths = [(f"{name}.branches.{b}.", path) for b, path in enumerate(layer.paths)]
    if layer.join == "Concat":
        return _concat(paths, state, inputs)
    ends = _last_norm(paths[0][1])
    if layer.join != "Add" or ends is None:
        outputs = through((layer,), (inputs, 8, 8))[0]
        return {}, torch.full((outputs,), -1)
    state[f"{paths[0][0]}{ends}.weight"].zero_()
    return make_identity(paths[1][1], 0, paths[1][0], state, inputs)


def _concat(
    paths: list[tuple[str, Primitives]], state: Mapping[str, Tensor], inputs: int
) -> tuple[Marks, Tensor]:
    """Let each path of one convolution and norm pass its own channels."""
    marks: Marks = {}
    parts: list[Tensor] = []
    for prefix, (first, *_) in paths:
        assert isinstance(first, Conv2d)  # so are the units' paths
        taken = dirac(first, state[f"{prefix}0.weight"], sum(map(len, parts)))
        marks[f"{prefix}1"] = taken >= 0
        parts.append(taken)
    return marks, torch.cat(parts)


def _last_norm(path: Primitives) -> int | None:
    if path and isinstance(path[-1], BatchNorm2d):
        return len(path) - 1
    return None


def calibrate(model: nn.Module, marks: Marks, images: Tensor) -> None:
    """Let norms undo themselves: scale and shift become the moments of what enters them.

    Args:
        model: The network, in place; in either mode.
        marks: Names of norms and their channels.
        images: Normalised images (n, c, h, w), some dozens.
    """
    if not marks:
        return
    mode = model.training
    hooks = [
        model.get_submodule(name).register_forward_pre_hook(partial(_undo, mask=mask))
        for name, mask in marks.items()
    ]
    try:
        with torch.no_grad():
            model.eval()(images)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(mode)


def _undo(norm: nn.Module, entering: tuple[Tensor], *, mask: Tensor) -> None:
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    variance, mean = torch.var_mean(entering[0].float(), dim=(0, 2, 3))
    chosen = mask.to(mean.device)
    norm.running_mean[chosen], norm.running_var[chosen] = mean[chosen], variance[chosen]
    norm.weight.data[chosen] = (variance[chosen] + norm.eps).sqrt()
    norm.bias.data[chosen] = mean[chosen]
