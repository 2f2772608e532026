"""Fake quantization: a network whose weights and activations are rounded to int8 as it trains.

Rounding passes gradients straight through (Jacob et al. 2018). It is that of the exported int8
file: weights per output channel and symmetric, which folded norms do not change; inputs of
convolutions and linear layers per tensor, from the least to the largest value of the batch. The
weights stay ordinary ones under their own names, so every export works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEAST = 1e-8  # of a scale


def rounded_weights(weights: Tensor) -> Tensor:
    """Return weights (outputs, ...) rounded to 255 steps of each output channel."""
    if weights.is_meta:
        return weights
    largest = weights.detach().abs().flatten(1).amax(1)
    scale = (largest / 127).clamp(min=_LEAST)
    zero = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weights, scale, zero, 0, -127, 127)


def rounded_activations(values: Tensor) -> Tensor:
    """Return activations rounded to 256 steps between their least and largest value, and 0."""
    if values.is_meta:  # torch has no such operation without values; shapes stay
        return values
    low, high = values.detach().aminmax()
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = ((high - low) / 255).clamp(min=_LEAST)
    zero = (-128 - low / scale).round().clamp(-128, 127).to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(values, scale, zero, -128, 127)


def _convolution(layer: nn.Conv2d, images: Tensor) -> Tensor:
    images, weights = rounded_activations(images), rounded_weights(layer.weight)
    maps: Tensor = layer._conv_forward(images, weights, layer.bias)
    return maps


def _linear(layer: nn.Linear, features: Tensor) -> Tensor:
    return F.linear(rounded_activations(features), rounded_weights(layer.weight), layer.bias)


_ROUNDED: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Conv2d: _convolution,
    nn.Linear: _linear,
}


@contextmanager
def fake_quantized(module: nn.Module) -> Iterator[None]:
    """Quantize the forward passes of a module within the block; its weights keep their names."""
    layers = [layer for layer in module.modules() if type(layer) in _ROUNDED]
    for layer in layers:
        layer.forward = partial(_ROUNDED[type(layer)], layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
