"""What a network reaches that always gives the same answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from optuna_de.cnn.loop import Epoch

if TYPE_CHECKING:
    from optuna_de.cnn.data import ImageData


@dataclass(frozen=True, slots=True)
class Guess:
    """What a network reaches that always gives the same answer.

    Args:
        loss: Training loss in nats: the entropy of the classes, smoothed as the recipe says.
        error: Validation error rate, less two standard deviations of a count of that many.
    """

    loss: float
    error: float

    @classmethod
    def of(cls, data: ImageData, smoothing: float) -> Guess:
        """Return the guess for a data set."""
        classes = len(data.classes)
        shares = torch.bincount(data.train.labels.cpu(), minlength=classes).double()
        prior = (1 - smoothing) * shares / shares.sum() + smoothing / classes
        n = len(data.validation.labels)
        error = 1 - torch.bincount(data.validation.labels.cpu()).max().item() / n
        return cls(
            loss=-torch.xlogy(prior, prior).sum().item(),
            error=error - 2 * math.sqrt(error * (1 - error) / n),
        )

    def suspects(self, epoch: Epoch) -> bool:
        """Tell whether a first epoch's loss is no better than guessing, to a thousandth."""
        return epoch.number == 1 and epoch.train_loss >= 0.999 * self.loss

    def confirms(self, epoch: Epoch) -> bool:
        """Tell whether the validation error of a suspect says the same."""
        score = epoch.validation_error
        return self.suspects(epoch) and score is not None and score >= self.error
