"""What a training holds on its device, from the first step to the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from optuna_de.cnn.data import augmentation
from optuna_de.cnn.modules.channel_padding import block, copy_back, padded
from optuna_de.cnn.recipes import Recipe
from optuna_de.cnn.training.device import uses_bfloat16
from optuna_de.cnn.training.memory import TrainingOutOfMemory, attempt
from optuna_de.cnn.training.optimizer import initialise, make_optimizer

if TYPE_CHECKING:
    from optuna_de.cnn.data.dataset import ImageData


@dataclass(frozen=True, slots=True)
class TrainState:
    """What a step reads and, in place, changes.

    Args:
        model: On the device, in channels_last order and in training mode.
        given: The caller's network: ``model`` itself, or what it is the padded form of.
        optimizer: SGD with its momentum already there, so that every step is alike.
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
    optimizer: torch.optim.SGD
    recipe: Recipe
    images: augmentation.PaddedImages
    labels: Tensor
    normalise: augmentation.Normaliser
    totals: Tensor
    mean: tuple[Tensor, ...]
    bfloat16: bool

    @property
    def device(self) -> torch.device:
        """Where the run lives."""
        return self.labels.device

    def state(self) -> list[Tensor]:
        """Return every tensor that outlives an epoch, in a fixed order and without padding."""
        slots, given = self.optimizer.state, self.given
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
) -> TrainState:
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
) -> TrainState:
    if recipe.initialisation == "he":
        initialise(given, seed)
    given.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    model = padded(given, data.image_shape[0]) if pad else given
    model.to(memory_format=torch.channels_last)
    split = data.train
    side = (split.images.shape[2], split.images.shape[3])
    mean = (t.detach().clone() for t in floats(model)) if recipe.ema is not None else ()
    return TrainState(
        model=model,
        given=given,
        optimizer=make_optimizer(model, recipe, device),
        recipe=recipe,
        images=augmentation.pad(split.images.to(device), recipe.crop_padding),
        labels=split.labels.to(device),
        normalise=augmentation.normaliser(data.mean, data.std, side, device),
        totals=torch.zeros(2, device=device),
        mean=tuple(mean),
        bfloat16=uses_bfloat16(recipe.precision, device, data.image_shape),
    )


def set_rate(run: TrainState, rate: float) -> None:
    """Set the learning rate; on CUDA in the tensor that a captured graph reads."""
    for group in run.optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def update_mean(run: TrainState, steps: int) -> None:
    """Move the running mean after the ``steps``-th step, faster in the beginning."""
    if run.recipe.ema is None:
        return
    decay = min(run.recipe.ema, (1 + steps) / (10 + steps))
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    average(run.mean, [t.detach() for t in floats(run.model)], steps)


@contextmanager
def averaged(run: TrainState) -> Iterator[None]:
    """Put the running mean, where there is one, into the model for a while."""
    if not run.mean:
        yield
        return
    raw = [t.detach().clone() for t in floats(run.model)]
    _assign(run.model, run.mean)
    try:
        yield
    finally:
        _assign(run.model, raw)


@contextmanager
def published(run: TrainState) -> Iterator[None]:
    """Let the caller's network have, for a while at least, the weights that are scored."""
    with averaged(run):
        if run.given is not run.model:
            copy_back(run.model, run.given)
        yield


def publish(run: TrainState) -> None:
    """Put the weights that are scored into the caller's network for good."""
    if run.mean:
        _assign(run.model, run.mean)
    if run.given is not run.model:
        copy_back(run.model, run.given)


def _assign(model: nn.Module, values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for tensor, value in zip(floats(model), values, strict=True):
            tensor.copy_(value)
