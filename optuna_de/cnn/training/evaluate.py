"""Evaluation of a network on a split: error rate and cross entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from optuna_de.cnn.data import augmentation
from optuna_de.cnn.data.store.mapped_images import blocks
from optuna_de.cnn.training.device import autocast
from optuna_de.cnn.training.memory import TrainingOutOfMemory, try_within_memory

if TYPE_CHECKING:
    from optuna_de.cnn.data.dataset import Split


def evaluate(
    model: nn.Module,
    split: Split,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 256,
    bfloat16: bool = False,
    confusion: Tensor | None = None,
) -> tuple[float, float]:
    """Score a network in ``eval()`` mode; its own mode is restored.

    Args:
        model: On ``device``, mapping float (b, c, h, w) to logits (b, classes).
        split: Images and labels, on any device.
        mean: Channel means (c,) of images in [0, 1].
        std: Channel deviations (c,), above 0.
        device: Device to compute on.
        batch_size: Images at once, 1 or more.
        bfloat16: Whether to compute in bfloat16.
        confusion: Gets the number of images of each class (row) by answer (column): int64
            (classes, classes) on the device; None counts nothing.

    Returns:
        Error rate in [0, 1] and mean cross entropy in nats, which may be NaN.
    """
    device = torch.device(device)
    side = (split.images.shape[2], split.images.shape[3])
    normalise = augmentation.normaliser(mean, std, side, device)
    wrong, loss = torch.zeros(2, device=device).unbind()
    if confusion is not None:
        confusion.zero_()
    mode = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for images, labels in zip(
                blocks(split.images, batch_size),
                torch.split(split.labels, batch_size),
                strict=True,
            ):
                with autocast(device, bfloat16):
                    logits = model(normalise(images.to(device))).float()
                target = labels.to(device)
                answers = logits.argmax(1)
                wrong = wrong + (answers != target).sum()
                if confusion is not None:
                    confusion.index_put_((target, answers), torch.ones_like(target), True)
                loss = loss + F.cross_entropy(logits, target, reduction="sum")
    finally:
        model.train(mode)
    return wrong.item() / len(split.labels), loss.item() / len(split.labels)


def confusion_counts(classes: int, device: torch.device | str) -> Tensor:
    """Return an empty confusion matrix for :func:`evaluate`: int64 (classes, classes)."""
    return torch.zeros((classes, classes), dtype=torch.int64, device=device)


def evaluate_in_memory(
    model: nn.Module,
    split: Split,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    *,
    device: torch.device | str,
    batch_sizes: Sequence[int],
    bfloat16: bool = False,
    confusion: Tensor | None = None,
) -> tuple[float, float]:
    """Score a network as :func:`evaluate` does, with the first batch size that fits into memory.

    Raises:
        TrainingOutOfMemory: If none fits.
    """
    for batch_size in batch_sizes:
        scores = try_within_memory(
            lambda size=batch_size: evaluate(  # type: ignore[misc]
                model,
                split,
                mean,
                std,
                device=device,
                batch_size=size,
                bfloat16=bfloat16,
                confusion=confusion,
            ),
            torch.device(device),
        )
        if scores:
            return scores[0]
    raise TrainingOutOfMemory(f"Scoring ran out of memory at a batch of {batch_sizes[-1]} images.")
