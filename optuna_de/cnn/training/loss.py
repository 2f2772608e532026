"""Loss of a step: cross entropy of the logits, and the answers that are wrong."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from optuna_de.cnn.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Targets:
    """What a batch of images shows.

    Args:
        labels: int64 (b,).
        others: Labels of the images that they are mixed with, or None.
        share: Share in [0, 1] of those, float32 (b,), or None.
    """

    labels: Tensor
    others: Tensor | None = None
    share: Tensor | None = None


def cross_entropy(
    logits: Tensor, targets: Targets, smoothing: float, weights: Tensor | None = None
) -> Tensor:
    """Return the mean loss of a batch: cross entropy in nats, label smoothing included.

    That of a mixed image is the mean over its two classes by their shares, which is the cross
    entropy of the mixed label.

    Args:
        logits: float32 (b, classes).
        targets: Of the same images.
        smoothing: Label smoothing in [0, 1).
        weights: Of an image's loss by its class, float32 (classes,); the mean is over images, not
            over their weights. None weighs all alike.
    """
    if targets.share is None or targets.others is None:
        if weights is None:
            return F.cross_entropy(logits, targets.labels, label_smoothing=smoothing)
        one = (logits, targets.labels, weights)
        return F.cross_entropy(*one, label_smoothing=smoothing, reduction="none").mean()
    own, other = (
        F.cross_entropy(logits, labels, weights, label_smoothing=smoothing, reduction="none")
        for labels in (targets.labels, targets.others)
    )
    return torch.lerp(own, other, targets.share).mean()


def distilled(loss: Tensor, logits: Tensor, answers: Tensor, recipe: Recipe) -> Tensor:
    """Return the loss of a batch with a teacher (Hinton et al. 2015, section 2).

    The divergence of the student's softened answers from the teacher's, times the square of the
    temperature so that its gradient keeps its size, is weighed against the loss on labels.

    Args:
        loss: Mean loss on the labels.
        logits: float32 (b, classes).
        answers: The teacher's logits, float32 (b, classes).
        recipe: Tells weight and temperature.
    """
    ours, theirs = (F.log_softmax(part / recipe.temperature, 1) for part in (logits, answers))
    soft = F.kl_div(ours, theirs, reduction="batchmean", log_target=True)
    return torch.lerp(loss, soft * recipe.temperature**2, recipe.distillation)


def wrong_answers(logits: Tensor, targets: Targets) -> Tensor:
    """Return how many answers are wrong; of a mixed image each class counts by its share."""
    answers = logits.argmax(1)
    wrong = (answers != targets.labels).float()
    if targets.share is not None and targets.others is not None:
        wrong = torch.lerp(wrong, (answers != targets.others).float(), targets.share)
    return wrong.sum()
