"""Weight initialisation and the optimizer of a recipe."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from optuna_de.cnn.recipes import Recipe


def initialise(model: nn.Module, seed: int) -> None:
    """Draw weights for rectifiers (He et al. 2015, equation 10) and set biases to 0.

    A layer that a norm follows keeps torch's draw, whose smaller weights learn faster there, and
    so does the last layer, which no rectifier follows.
    """
    generator = torch.Generator().manual_seed(seed)
    leaves = [m for m in model.modules() if not any(m.children())]
    last = max((i for i, m in enumerate(leaves) if isinstance(m, nn.Linear)), default=None)
    for i, (layer, following) in enumerate(zip(leaves, [*leaves[1:], None], strict=True)):
        normed = isinstance(following, nn.modules.batchnorm._BatchNorm)
        if i == last or normed or not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def make_optimizer(model: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.SGD:
    """Return the SGD that a recipe asks for; norms and biases decay only if it says so."""
    trained = [p for p in model.parameters() if p.requires_grad]
    free = [p for p in trained if p.ndim < 2 and not recipe.decay_norm_and_bias]
    decayed = [p for p in trained if p.ndim >= 2 or recipe.decay_norm_and_bias]
    rate = torch.zeros((), device=device) if device.type == "cuda" else 0.0
    groups: list[dict[str, Any]] = [
        {"params": free, "weight_decay": 0.0},
        {"params": decayed},
    ]
    optimizer = torch.optim.SGD(
        groups,
        lr=rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=device.type in ("cpu", "cuda"),
    )
    if recipe.momentum:
        for parameter in trained:
            optimizer.state[parameter] = {"momentum_buffer": torch.zeros_like(parameter)}
    return optimizer
