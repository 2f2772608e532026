"""Trainer: trains a network by a recipe.

The whole set lies on the device as uint8; :mod:`optuna_de.cnn.data.augmentation` is the data path
and :mod:`optuna_de.cnn.training.step` the step. On a CPU the same seed gives the same curve bit
for bit, whatever torch's global generator holds, as long as the number of threads and the
precision (which "auto" lets the CPU decide) are the same and no other thread of the process trains
(dropout draws from the global generator, which is restored).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from optuna_de._checks import require
from optuna_de.cnn.modules.channel_padding import padded
from optuna_de.cnn.modules.stochastic_depth import stochastic_paths
from optuna_de.cnn.recipes import Recipe
from optuna_de.cnn.training.checkpoint import load_checkpoint, save_checkpoint, weights_digest
from optuna_de.cnn.training.epochs import ChanceLevel, Epoch, EpochLoop
from optuna_de.cnn.training.memory import micro_batch
from optuna_de.cnn.training.state import (
    TrainState,
    make_train_state,
    own_randomness,
    publish_weights,
    weights_published,
)

if TYPE_CHECKING:
    from optuna_de.cnn.data.dataset import ImageData

Status = Literal["ok", "diverged", "dead", "stopped"]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Result of a training.

    Args:
        error: Validation error in [0, 1], by the metric of the data, of the last epoch; that of a
            constant answer if the training diverged. Never NaN.
        epochs: The learning curve.
        seconds: Sum over the epochs.
        status: "ok", "diverged" (a loss is not finite), "dead" (at chance after the first epoch)
            or "stopped" (by ``on_epoch``).
        precision: "float32" or "bfloat16", in which it was computed.
        saved: Whether the checkpoint of the last epoch is written, so that the same call would
            return at once.
    """

    error: float
    epochs: tuple[Epoch, ...]
    seconds: float
    status: Status
    precision: str
    saved: bool = False


def train(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    epochs: int,
    batch_size: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    score_epochs: Container[int] | None = None,
    on_epoch: Callable[[Epoch], bool] | None = None,
    on_step: Callable[[], None] = lambda: None,
    stop_dead: bool = False,
    checkpoint: Path | None = None,
    stretched_from: Sequence[int] = (),
    pad_channels: bool | None = None,
    teacher: nn.Module | None = None,
) -> TrainingResult:
    """Train a network on the training split and score it on the validation split.

    Args:
        model: Maps float (b, c, h, w) to logits (b, classes). Moved to the device and trained in
            place; it ends with the weights that were scored last.
        data: The set.
        recipe: The training recipe.
        epochs: Number of epochs, 1 or more; schedules are stretched to it.
        batch_size: Images of a step, 1 or more; None takes the recipe's. A last, smaller batch of
            an epoch is trained on too.
        seed: Seeds order, augmentation, dropout and the recipe's initialisation.
        device: Device to train on.
        score_epochs: Epochs after which to score; None is every one. The last always is.
        on_epoch: Called after each scored epoch, while the model has the weights that were
            scored; True stops. After a resumption it is called for the last finished epoch
            again, as the kill may have come before the call.
        on_step: Called before each step. What it raises ends the training; the checkpoint is then
            that of the last whole epoch.
        stop_dead: Whether to stop after the first epoch if the network is at chance level: its
            mean training loss is at least 0.999 times the entropy of the classes, and its
            validation error at most two standard deviations below that of always answering the
            same. A first epoch with such a loss is scored whether asked for or not.
        checkpoint: File to save every epoch to and to resume from.
        stretched_from: Shorter numbers of epochs whose checkpoint may be resumed, too: their
            schedule is stretched from there on.
        pad_channels: Whether to compute with channels padded to multiples of eight, where that is
            exact; None is on CUDA only. Model and checkpoint stay without padding.
        teacher: Maps the model's images to logits (b, classes), from which it learns, too, as the
            recipe says (distillation); moved to the device.

    Returns:
        The error and the learning curve.

    Raises:
        ValueError: If a number is out of range.
        TrainingOutOfMemory: If the device cannot hold it with half the micro-batch.
    """
    place = torch.device(device)
    batch = recipe.batch_size if batch_size is None else batch_size
    for name, value in (("epochs", epochs), ("batch_size", batch)):
        require(value >= 1, name, value, "at least 1")
    chance = ChanceLevel.of(data, recipe) if stop_dead else None
    pad = place.type == "cuda" if pad_channels is None else pad_channels
    scored = _scoring(score_epochs, epochs, chance)
    with own_randomness(seed, place):
        computed = padded(model, data.image_shape[0]) if pad else model
        micro = micro_batch(computed.train(), data, recipe, batch, place)
        lengths = (epochs, *stretched_from)
        keys = [_key(model, data, recipe, n, batch, seed, teacher) for n in lengths]
        state = make_train_state(model, data, recipe, place, seed, batch_size=batch, pad=pad)
        state = _taught(state, teacher, place)
        loop = EpochLoop(
            state, data, epochs=epochs, batch_size=batch, micro=micro, seed=seed, on_step=on_step
        )
        with stochastic_paths(state.model, recipe.stochastic_depth):
            status = _train_epochs(loop, epochs, scored, chance, on_epoch, checkpoint, keys)
        publish_weights(state)
    return _result(status, loop, data.scored_by.chance(len(data.classes)))


def _scoring(
    score_epochs: Container[int] | None, epochs: int, chance: ChanceLevel | None
) -> Callable[[Epoch], bool]:
    def scored(epoch: Epoch) -> bool:
        asked = score_epochs is None or epoch.number in score_epochs
        suspect = chance is not None and chance.suspects(epoch)
        return asked or suspect or epoch.number == epochs

    return scored


def _taught(state: TrainState, teacher: nn.Module | None, place: torch.device) -> TrainState:
    if teacher is None:
        return state
    teacher.to(place, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return replace(state, teacher=teacher)


def _train_epochs(
    loop: EpochLoop,
    epochs: int,
    scored: Callable[[Epoch], bool],
    chance: ChanceLevel | None,
    on_epoch: Callable[[Epoch], bool] | None,
    checkpoint: Path | None,
    keys: Sequence[str],
) -> Status:
    saved = None if checkpoint is None else load_checkpoint(checkpoint, *keys)
    if saved is not None:
        loop.resume(saved)
    while True:
        with weights_published(loop.state):
            status = _status(loop.history, chance, on_epoch)
        if len(loop.history) == epochs:
            return "ok" if status == "stopped" else status
        if status != "ok":
            return status
        loop.epoch(scored)
        if checkpoint is not None:
            loop.saved = save_checkpoint(checkpoint, keys[0], loop.content())


def _status(
    history: list[Epoch], chance: ChanceLevel | None, on_epoch: Callable[[Epoch], bool] | None
) -> Status:
    if not history:
        return "ok"
    last = history[-1]
    if last.diverged:
        return "diverged"
    if chance is not None and chance.confirms(last):
        return "dead"
    if last.validation_error is not None and on_epoch is not None and on_epoch(last):
        return "stopped"
    return "ok"


def _result(status: Status, loop: EpochLoop, chance: float) -> TrainingResult:
    last = loop.history[-1].validation_error
    return TrainingResult(
        error=chance if status == "diverged" or last is None else last,
        epochs=tuple(loop.history),
        seconds=sum(epoch.seconds for epoch in loop.history),
        status=status,
        precision="bfloat16" if loop.state.bfloat16 else "float32",
        saved=loop.saved,
    )


def _key(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    epochs: int,
    batch: int,
    seed: int,
    teacher: nn.Module | None,
) -> str:
    """Return text that two trainings share only if one may resume from the other's checkpoint."""
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    taught = () if teacher is None else (weights_digest(teacher),)
    about = [recipe.settings(), epochs, batch, seed, data.fingerprint, shapes]
    return json.dumps([*about, *taught])
