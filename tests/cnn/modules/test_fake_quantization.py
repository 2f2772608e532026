"""Fake quantization: the rounding of the exported file, straight gradients, weights untouched."""

import pytest
import torch
from torch import nn

from optuna_de.cnn import parse
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.modules.fake_quantization import (
    fake_quantized,
    rounded_activations,
    rounded_weights,
)


def test_weights_are_rounded_by_channel_and_activations_by_tensor() -> None:
    weights = torch.tensor([[127.0, 0.4, -3.6], [1.27, 0.004, -0.036]]).view(2, 3, 1, 1)
    expected = torch.tensor([[127.0, 0.0, -4.0], [1.27, 0.0, -0.04]]).view(2, 3, 1, 1)
    assert torch.allclose(rounded_weights(weights), expected)
    values = torch.tensor([0.0, 0.3, 0.6, 255.0])
    assert torch.allclose(rounded_activations(values), torch.tensor([0.0, 0.0, 1.0, 255.0]))
    shifted = rounded_activations(torch.linspace(-1, 3, 1000))
    assert len(set(shifted.tolist())) == 256
    assert 0.0 in shifted
    assert torch.equal(rounded_activations(torch.zeros(3)), torch.zeros(3))


def test_a_scale_of_a_channel_commutes_with_the_rounding() -> None:
    """So rounding before a folded norm is rounding behind it."""
    weights, factor = torch.randn(4, 3, 3, 3), torch.tensor([0.5, 2.0, 4.0, 0.25]).view(4, 1, 1, 1)
    assert torch.allclose(rounded_weights(weights * factor), rounded_weights(weights) * factor)


def test_a_network_is_rounded_within_the_block_only() -> None:
    torch.manual_seed(0)
    module, images = build(parse("B8k3-R12k3-D8k3-GAP"), (3, 8, 8), 10), torch.randn(4, 3, 8, 8)
    module.eval()
    plain, names = module(images), list(module.state_dict())
    with fake_quantized(module):
        rounded = module(images)
        rounded.sum().backward()
        assert list(module.state_dict()) == names
    assert 0 < (rounded - plain).abs().max() < 0.2 * plain.abs().max()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
    assert torch.equal(module(images), plain)


LAYERS = pytest.mark.parametrize("layer", [nn.Conv2d(2, 3, 1), nn.Linear(2, 3)])


@LAYERS
def test_weights_and_inputs_of_a_layer_are_rounded(layer: nn.Conv2d | nn.Linear) -> None:
    values = torch.linspace(0, 1, 8).pow(3)  # not on the steps of their range
    values = values.view(1, 2, 2, 2) if isinstance(layer, nn.Conv2d) else values.view(4, 2)
    with fake_quantized(layer):
        rounded = layer(values)
    layer.weight.data = rounded_weights(layer.weight.data)
    assert torch.equal(rounded, layer(rounded_activations(values)))
    assert not torch.equal(rounded, layer(values))


@LAYERS
def test_gradients_pass_straight_through(layer: nn.Conv2d | nn.Linear) -> None:
    values = torch.rand(1, 2, 1, 1) if isinstance(layer, nn.Conv2d) else torch.rand(1, 2)
    values.requires_grad_()
    with fake_quantized(layer):
        layer(values).sum().backward()
    assert values.grad is not None
    expected = rounded_weights(layer.weight).sum(0).flatten()
    assert torch.allclose(values.grad.flatten(), expected)
