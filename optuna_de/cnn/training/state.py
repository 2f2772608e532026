"""Training state: network, optimizer, learning rate and moving average (EMA) of the weights."""

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
from optuna_de.cnn.training.device import (
    depthwise_as_it_was,
    depthwise_in_float32,
    uses_bfloat16,
)
from optuna_de.cnn.training.feed import Feed, make_feed
from optuna_de.cnn.training.memory import TrainingOutOfMemory, try_within_memory
from optuna_de.cnn.training.optimizer import Optimizers, initialise, make_optimizer
from optuna_de.cnn.training.whitening import whiten

if TYPE_CHECKING:
    from optuna_de.cnn.data.dataset import ImageData


@dataclass(frozen=True, slots=True)
class TrainState:
    """State of a training. Tensors are read by its steps and change in place.

    Args:
        model: On the device, in channels_last order and in training mode.
        given: The caller's network: ``model`` itself, or the network that ``model`` pads.
        optimizer: With its momentum already there, so that every step is alike.
        recipe: The training recipe.
        feed: Gives the batches of an epoch.
        normalise: From uint8 to float images.
        totals: float32 (2,), sums over the epoch so far: loss, wrong answers.
        ema: Exponential moving averages of the model's floating-point tensors, or empty.
        bfloat16: Whether to compute in bfloat16 where torch's autocast finds it safe.
        class_weights: float32 (classes,), see :func:`class_weights`; None weighs all alike.
        teacher: Maps the same images to logits, in evaluation mode; or None.
    """

    model: nn.Module
    given: nn.Module
    optimizer: Optimizers
    recipe: Recipe
    feed: Feed
    normalise: augmentation.Normaliser
    totals: Tensor
    ema: tuple[Tensor, ...]
    bfloat16: bool
    class_weights: Tensor | None = None
    teacher: nn.Module | None = None

    @property
    def images(self) -> augmentation.PaddedImages:
        """Images on the device that a step may use: all, or those of its batch."""
        return self.feed.images

    @property
    def labels(self) -> Tensor:
        """Labels int64 (n,) of :attr:`images`."""
        return self.feed.labels

    @property
    def device(self) -> torch.device:
        """Device of all tensors."""
        return self.labels.device

    def tensors(self) -> list[Tensor]:
        """Return every tensor that outlives an epoch, in a fixed order and without padding."""
        given = self.given
        trained = [
            (kept, like if kept.ndim else kept)
            for p, like in zip(self.model.parameters(), given.parameters(), strict=True)
            for kept in self.optimizer.kept(p)
        ]
        pairs = [
            *zip(self.model.parameters(), given.parameters(), strict=True),
            *zip(self.model.buffers(), given.buffers(), strict=True),
            *trained,
            *zip(self.ema, float_tensors(given) if self.ema else (), strict=True),
        ]
        return [block(tensor, like) for tensor, like in pairs]

    def restore(self, values: list[Tensor]) -> None:
        """Put values of :meth:`tensors` back in place, so that captured graphs stay valid."""
        with torch.no_grad():
            for tensor, value in zip(self.tensors(), values, strict=True):
                tensor.copy_(value)


def float_tensors(model: nn.Module) -> list[Tensor]:
    """Return the tensors of a model that have a moving average."""
    return [*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())]


@contextmanager
def own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators within the block; they are restored after it."""
    cards = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cards):
        torch.manual_seed(seed)
        yield


def make_train_state(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    device: torch.device,
    seed: int,
    *,
    batch_size: int | None = None,
    pad: bool = False,
) -> TrainState:
    """Create the training state of a model on a device and move the images there that fit.

    Args:
        model: The network.
        data: The set.
        recipe: The training recipe.
        device: Where to train.
        seed: Of the weights.
        batch_size: Images of a step at the most; None is the recipe's.
        pad: Whether to pad channels.

    Raises:
        TrainingOutOfMemory: If they do not fit.
    """
    made = try_within_memory(
        lambda: _start(model, data, recipe, device, seed, batch_size, pad), device
    )
    if made is None:
        raise TrainingOutOfMemory("The network, its gradients and the images do not fit.")
    return made[0]


def _start(
    given: nn.Module,
    data: ImageData,
    recipe: Recipe,
    device: torch.device,
    seed: int,
    batch_size: int | None,
    pad: bool,
) -> TrainState:
    if recipe.initialisation == "he":
        initialise(given, seed)
    whiten(given, data)
    given.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    model = padded(given, data.image_shape[0]) if pad else given
    model.to(memory_format=torch.channels_last)
    bfloat16 = uses_bfloat16(recipe.precision, device, data.image_shape)
    if bfloat16 and device.type == "cpu":
        depthwise_in_float32(model)
    split = data.train
    side = (split.images.shape[2], split.images.shape[3])
    ema = (t.detach().clone() for t in float_tensors(model)) if recipe.ema is not None else ()
    return TrainState(
        model=model,
        given=given,
        optimizer=make_optimizer(model, recipe, device),
        recipe=recipe,
        feed=make_feed(split, recipe, batch_size or recipe.batch_size, device),
        normalise=augmentation.normaliser(data.mean, data.std, side, device),
        totals=torch.zeros(2, device=device),
        ema=tuple(ema),
        bfloat16=bfloat16,
        class_weights=class_weights(split.labels.to(device), len(data.classes), recipe),
    )


def class_weights(labels: Tensor, classes: int, recipe: Recipe) -> Tensor | None:
    """Return the weight of an image's loss by class, float32 (classes,); None for equal ones.

    Args:
        labels: int64 (n,) of the training images, whose weights are 1 in the mean.
        classes: Number of classes; those without images weigh 0.
        recipe: The training recipe.
    """
    if recipe.class_weights == "none":
        return None
    sizes = labels.bincount(minlength=classes)
    weights = len(labels) / (sizes.clamp(min=1) * (sizes > 0).sum())
    return (weights * (sizes > 0)).float()


def update_ema(state: TrainState, steps: int) -> None:
    """Update the moving average (EMA) of the weights after a step, more of it at the beginning."""
    if state.recipe.ema is None:
        return
    decay = min(state.recipe.ema, (1 + steps) / (10 + steps))
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    average(state.ema, [t.detach() for t in float_tensors(state.model)], steps)


@contextmanager
def ema_weights(state: TrainState) -> Iterator[None]:
    """Put the moving average (EMA) of the weights, if any, into the network within a block."""
    if not state.ema:
        yield
        return
    raw = [t.detach().clone() for t in float_tensors(state.model)]
    _assign(state.model, state.ema)
    try:
        yield
    finally:
        _assign(state.model, raw)


@contextmanager
def weights_published(state: TrainState) -> Iterator[None]:
    """Give the caller's network the weights that are scored, at least within the block."""
    with ema_weights(state):
        if state.given is not state.model:
            copy_back(state.model, state.given)
        yield


def publish_weights(state: TrainState) -> None:
    """Put the weights that are scored into the caller's network, which computes as it did."""
    depthwise_as_it_was(state.model)
    if state.ema:
        _assign(state.model, state.ema)
    if state.given is not state.model:
        copy_back(state.model, state.given)


def _assign(model: nn.Module, values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for tensor, value in zip(float_tensors(model), values, strict=True):
            tensor.copy_(value)
