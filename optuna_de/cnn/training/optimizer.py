"""Weight initialisation and the optimizer of a recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from optuna_de.cnn.recipes import Recipe

_FEW_ROWS = 64  # of a matrix, for iterations in float32
_A, _B, _C = 3.4445, -4.775, 2.0315  # Newton-Schulz coefficients of Jordan et al. (2024)


def initialise(model: nn.Module, seed: int) -> None:
    """Draw weights for rectifiers (He et al. 2015, equation 10) and set biases to 0.

    A layer that a norm follows keeps torch's draw, whose smaller weights learn faster there, and
    so does the last layer, which no rectifier follows.
    """
    generator = torch.Generator().manual_seed(seed)
    leaves = [m for m in model.modules() if not any(m.children())]
    last = max((i for i, m in enumerate(leaves) if isinstance(m, nn.Linear)), default=None)
    for i, (layer, following) in enumerate(zip(leaves, [*leaves[1:], None], strict=True)):
        normed = isinstance(following, nn.modules.batchnorm._BatchNorm | nn.LayerNorm)
        if i == last or normed or not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        if not layer.weight.requires_grad:
            continue
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class Muon(torch.optim.Optimizer):
    """Muon for convolutions: momentum that is made orthogonal (Jordan et al., 2024).

    Each weight (outputs, inputs, k, k), as a matrix of one row an output, first gets the norm
    sqrt(outputs), so that the rate alone says how far it turns; then it moves by the nearest
    half-orthogonal matrix of its Nesterov momentum, times the rate. ``torch.optim.Muon`` takes
    2-D weights only, keeps their norm free and reads its rate on the host, which ends a captured
    graph.

    Args:
        weights: Parameters of 2 or more dimensions.
        lr: Learning rate; a tensor where steps are captured.
        momentum: In [0, 1).
        steps: Newton-Schulz iterations, 1 or more.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        lr: float | Tensor,
        momentum: float,
        *,
        steps: int = 3,
        **group: Any,
    ) -> None:
        super().__init__([{"params": list(weights), **group}], {"lr": lr})
        self._momentum, self._steps = momentum, steps
        self._norms = [_norm(weight) for weight in weights]
        for weight in weights:
            self.state[weight] = {"momentum_buffer": torch.zeros_like(weight)}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        (group,) = self.param_groups
        for weight, norm in zip(group["params"], self._norms, strict=True):
            if weight.grad is not None:
                self._move(weight, weight.grad, norm, group["lr"])

    def _move(self, weight: Tensor, gradient: Tensor, norm: float, rate: float | Tensor) -> None:
        kept = self.state[weight]["momentum_buffer"]
        kept.mul_(self._momentum).add_(gradient)
        push = _as_matrix(gradient).add(_as_matrix(kept), alpha=self._momentum)
        turned = orthogonalised(push, self._steps).to(weight.dtype)
        matrix = _as_matrix(weight)
        matrix.mul_(norm / weight.norm()).sub_(turned * rate)


def _norm(weight: Tensor) -> float:
    """Return sqrt(outputs), those left out that are 0 as channel padding is."""
    return math.sqrt(weight.detach().flatten(1).any(1).sum().item())


def _as_matrix(tensor: Tensor) -> Tensor:
    """Return a weight as one row an output: a view, as weights lie in channels_last order."""
    return tensor.movedim(1, -1).reshape(len(tensor), -1)


def orthogonalised(matrix: Tensor, steps: int) -> Tensor:
    """Return about U V' of a matrix U S V', by Newton-Schulz iterations.

    The quintic a X + (b A + c A A) X with A = X X' and the coefficients of Jordan et al. (2024),
    which bring singular values near 1 rather than to it; in bfloat16, or, where one side is at
    most 64, in float32 by :func:`_by_gram`, which takes less time there.
    """
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    if len(wide) <= _FEW_ROWS:
        turned = _by_gram(wide.float(), steps)
        return turned if wide is matrix else turned.T
    x = wide.to(torch.bfloat16)
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x if wide is matrix else x.T


def _by_gram(x: Tensor, steps: int) -> Tensor:
    """Return the same by iterations on A alone: with P = a I + b A + c A A, which commutes with A,
    X becomes P X and A becomes P A P = P P A.
    """
    x = x / x.norm().clamp(min=1e-7)
    gram, product = x @ x.T, torch.eye(len(x), device=x.device)
    for step in range(steps):
        factor = torch.addmm(gram, gram, gram, beta=_B, alpha=_C)
        factor.diagonal().add_(_A)
        product = factor @ product
        if step < steps - 1:
            gram = factor @ (factor @ gram)
    return product @ x


class Optimizers:
    """Optimizers of one network, each of its own parameters, as one.

    Args:
        parts: The optimizers. Their groups hold a ``factor`` on the learning rate.
    """

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self._parts = parts

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Move every parameter."""
        for part in self._parts:
            part.step()

    def set_rate(self, rate: float) -> None:
        """Set the learning rate; a captured CUDA graph reads it from a tensor."""
        for group in (group for part in self._parts for group in part.param_groups):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * group["factor"])
            else:
                group["lr"] = rate * group["factor"]

    def kept(self, parameter: nn.Parameter) -> list[Tensor]:
        """Return what is kept for a parameter from step to step, in a fixed order."""
        held = (part.state.get(parameter, {}) for part in self._parts)
        return [value for slots in held for value in slots.values()]


def make_optimizer(model: nn.Module, recipe: Recipe, device: torch.device) -> Optimizers:
    """Return the optimizers that a recipe asks for; norms and biases decay only if it says so."""
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = _matrices(model) if recipe.optimizer == "muon" else []
    turned = {id(weight) for weight in matrices}
    small = [p for p in trained if p.ndim < 2]
    large = [p for p in trained if p.ndim >= 2 and id(p) not in turned]
    decay = recipe.weight_decay
    groups: list[dict[str, Any]] = [
        {
            "params": small,
            "weight_decay": decay * recipe.decay_norm_and_bias,
            "factor": recipe.norm_bias_rate,
        },
        {"params": large, "weight_decay": decay, "factor": 1.0},
    ]
    for group in groups:
        group["lr"] = _rate(device)
    rest = (_adamw if recipe.optimizer == "adamw" else _sgd)(groups, recipe, device)
    if not matrices:
        return Optimizers(rest)
    factor = recipe.matrix_rate / recipe.learning_rate
    return Optimizers(rest, Muon(matrices, _rate(device), recipe.matrix_momentum, factor=factor))


def _rate(device: torch.device) -> float | Tensor:
    return torch.zeros((), device=device) if device.type == "cuda" else 0.0


def _matrices(model: nn.Module) -> list[Tensor]:
    """Return the trained weights of the convolutions without groups."""
    convolutions = (m for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups == 1)
    return [m.weight for m in convolutions if m.weight.requires_grad]


def _sgd(
    groups: list[dict[str, Any]], recipe: Recipe, device: torch.device
) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(
        groups,
        lr=_rate(device),
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        fused=device.type in ("cpu", "cuda"),
    )
    for parameter in (p for group in groups for p in group["params"] if recipe.momentum):
        optimizer.state[parameter] = {"momentum_buffer": torch.zeros_like(parameter)}
    return optimizer


def _adamw(
    groups: list[dict[str, Any]], recipe: Recipe, device: torch.device
) -> torch.optim.Optimizer:
    optimizer = torch.optim.AdamW(
        groups,
        lr=_rate(device),
        betas=(recipe.momentum, 0.999),
        fused=device.type in ("cpu", "cuda"),
        capturable=device.type == "cuda",
    )
    for parameter in (p for group in groups for p in group["params"]):
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer
