"""What a training holds on its device, from the first step to the last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from optuna_de.cnn import augment
from optuna_de.cnn.memory import TrainingOutOfMemory, attempt
from optuna_de.cnn.padding import block, padded
from optuna_de.cnn.recipes import Recipe
from optuna_de.cnn.scoring import uses_bfloat16

if TYPE_CHECKING:
    from optuna_de.cnn.data import ImageData


@dataclass(frozen=True, slots=True)
class Run:
    """What a step reads and, in place, changes.

    Args:
        model: On the device, in channels_last order and in training mode.
        given: The caller's network: ``model`` itself, or what it is the padded form of.
        optimiser: SGD with its momentum already there, so that every step is alike.
        recipe: What to do.
        images: Training images on the device.
        labels: int64 (n,).
        normalise: From uint8 to float images.
        totals: float32 (2,), sums over the epoch so far: loss, wrong answers.
        mean: Running means of the model's floating-point tensors, or empty.
        bfloat16: Whether to compute in bfloat16 where torch's autocast finds it safe.
    """

    model: nn.Module
    given: nn.Module
    optimiser: torch.optim.SGD
    recipe: Recipe
    images: augment.PaddedImages
    labels: Tensor
    normalise: augment.Normaliser
    totals: Tensor
    mean: tuple[Tensor, ...]
    bfloat16: bool

    @property
    def device(self) -> torch.device:
        """Where the run lives."""
        return self.labels.device

    def state(self) -> list[Tensor]:
        """Return every tensor that outlives an epoch, in a fixed order and without padding."""
        slots, given = self.optimiser.state, self.given
        trained = [
            (slots[p]["momentum_buffer"], like)
            for p, like in zip(self.model.parameters(), given.parameters(), strict=True)
            if p in slots
        ]
        pairs = [
            *zip(self.model.parameters(), given.parameters(), strict=True),
            *zip(self.model.buffers(), given.buffers(), strict=True),
            *trained,
            *zip(self.mean, floats(given) if self.mean else (), strict=True),
        ]
        return [block(tensor, like) for tensor, like in pairs]

    def restore(self, state: list[Tensor]) -> None:
        """Put values of :meth:`state` back in place, so that captured graphs stay valid."""
        with torch.no_grad():
            for tensor, value in zip(self.state(), state, strict=True):
                tensor.copy_(value)


def floats(model: nn.Module) -> list[Tensor]:
    """Return the tensors of a model that have a running mean."""
    return [*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())]


@contextmanager
def own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for a while and put them back."""
    cards = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cards):
        torch.manual_seed(seed)
        yield


def start(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    device: torch.device,
    seed: int,
    *,
    pad: bool = False,
) -> Run:
    """Move model and training split to the device and make what a training needs.

    Raises:
        TrainingOutOfMemory: Where they do not fit.
    """
    made = attempt(lambda: _start(model, data, recipe, device, seed, pad), device)
    if made is None:
        raise TrainingOutOfMemory("The network, its gradients and the images do not fit.")
    return made[0]


def _start(
    given: nn.Module, data: ImageData, recipe: Recipe, device: torch.device, seed: int, pad: bool
) -> Run:
    if recipe.initialisation == "he":
        initialise(given, seed)
    given.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    model = padded(given, data.image_shape[0]) if pad else given
    model.to(memory_format=torch.channels_last)
    split = data.train
    side = (split.images.shape[2], split.images.shape[3])
    mean = (t.detach().clone() for t in floats(model)) if recipe.ema is not None else ()
    return Run(
        model=model,
        given=given,
        optimiser=_optimiser(model, recipe, device),
        recipe=recipe,
        images=augment.pad(split.images.to(device), recipe.crop_padding),
        labels=split.labels.to(device),
        normalise=augment.normaliser(data.mean, data.std, side, device),
        totals=torch.zeros(2, device=device),
        mean=tuple(mean),
        bfloat16=uses_bfloat16(recipe.precision, device, data.image_shape),
    )


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


def _optimiser(model: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.SGD:
    trained = [p for p in model.parameters() if p.requires_grad]
    free = [p for p in trained if p.ndim < 2 and not recipe.decay_norm_and_bias]
    decayed = [p for p in trained if p.ndim >= 2 or recipe.decay_norm_and_bias]
    rate = torch.zeros((), device=device) if device.type == "cuda" else 0.0
    groups: list[dict[str, Any]] = [
        {"params": free, "weight_decay": 0.0},
        {"params": decayed},
    ]
    optimiser = torch.optim.SGD(
        groups,
        lr=rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=device.type in ("cpu", "cuda"),
    )
    if recipe.momentum:
        for parameter in trained:
            optimiser.state[parameter] = {"momentum_buffer": torch.zeros_like(parameter)}
    return optimiser


def set_rate(run: Run, rate: float) -> None:
    """Set the learning rate; on CUDA in the tensor that a captured graph reads."""
    for group in run.optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
