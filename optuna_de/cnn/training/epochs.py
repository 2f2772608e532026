"""The epoch loop of one training, its learning curve, and the test for networks at chance."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from optuna_de.cnn.data import augmentation
from optuna_de.cnn.training.evaluate import confusion_counts, evaluate_in_memory
from optuna_de.cnn.training.state import TrainState, class_weights, ema_weights, update_ema
from optuna_de.cnn.training.step import Stepper

if TYPE_CHECKING:
    from optuna_de.cnn.data.dataset import ImageData
    from optuna_de.cnn.recipes import Recipe

_SCORE_BATCH = 256
_LOOK_EVERY = 64  # steps between two looks at the loss, each of which waits for the device


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of training.

    Args:
        number: From 1.
        train_loss: Mean of the loss that was minimised, smoothing included; not finite if the
            training diverged in this epoch.
        train_error: Error rate on the augmented training images as they came by; of a mixed
            image each class counts by its share.
        validation_loss: Mean cross entropy in nats, or None if the epoch was not scored.
        validation_error: In [0, 1], by the metric of the data; or None.
        seconds: Wall-clock time, scoring included.
    """

    number: int
    train_loss: float
    train_error: float
    validation_loss: float | None
    validation_error: float | None
    seconds: float

    @property
    def diverged(self) -> bool:
        """Whether a loss is not finite."""
        return not math.isfinite(self.train_loss + (self.validation_loss or 0.0))


class EpochLoop:
    """Trains and scores epoch by epoch.

    Args:
        state: Changed in place.
        data: The set.
        epochs: Number of epochs.
        batch_size: Images of a step.
        micro: Images that go through the model at once.
        seed: Seeds order and augmentation.
        on_step: Called before each step; it may raise to end the training.
    """

    def __init__(
        self,
        state: TrainState,
        data: ImageData,
        *,
        epochs: int,
        batch_size: int,
        micro: int,
        seed: int,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        self.state = state
        self.history: list[Epoch] = []
        self.saved = False  # whether the last epoch's checkpoint is written
        self._data = data
        self._epochs = epochs
        self._batch_size = batch_size
        self._on_step = on_step
        self._step = Stepper(state, batch_size, micro)
        self._generator = torch.Generator().manual_seed(seed)

    def epoch(self, scored: Callable[[Epoch], bool]) -> None:
        """Train one epoch, score it if ``scored(epoch)`` is true, and append it."""
        began = time.perf_counter()
        loss, error = self._train()
        epoch = Epoch(len(self.history) + 1, loss, error, None, None, 0.0)
        if not epoch.diverged and scored(epoch):
            wrong, nats = self._score()
            epoch = replace(epoch, validation_loss=nats, validation_error=wrong)
        self.history.append(replace(epoch, seconds=time.perf_counter() - began))

    def _train(self) -> tuple[float, float]:
        plan = self._draw()
        steps = -(-len(plan) // self._batch_size)
        taken = len(self.history) * steps
        self.state.totals.zero_()
        seen = 0
        for number, draws in enumerate(self.state.feed.batches(plan, self._batch_size), start=1):
            self._on_step()
            self.state.optimizer.set_rate(self._rate(taken, steps))
            self._step(draws)
            taken += 1
            update_ema(self.state, taken)
            seen += len(draws)
            if number % _LOOK_EVERY == 0 and not self.state.totals[0].isfinite():
                break
        loss, wrong = self.state.totals.tolist()
        return loss / seen, wrong / seen

    def _draw(self) -> Tensor:
        images, recipe = self.state.images, self.state.recipe
        return augmentation.draw_augmentations(
            len(self._data.train.labels),
            images.side,
            self._generator,
            padding=images.padding,
            flip=recipe.flip,
            mixup=recipe.mixup,
            cutmix=recipe.cutmix,
        )

    def _rate(self, step: int, steps: int) -> float:
        return self.state.recipe.rate(
            step, steps=steps, epochs=self._epochs, batch_size=self._batch_size
        )

    def _score(self) -> tuple[float, float]:
        data, state = self._data, self.state
        counts = confusion_counts(len(data.classes), state.device)
        with ema_weights(state):
            error, nats = evaluate_in_memory(
                state.model,
                data.validation,
                data.mean,
                data.std,
                device=state.device,
                batch_sizes=(_SCORE_BATCH, self._step.micro),
                bfloat16=state.bfloat16,
                confusion=None if data.metric == "error" else counts,
            )
        return error if data.metric == "error" else data.scored_by.of(counts.cpu().numpy()), nats

    def content(self) -> dict[str, Any]:
        """Return all that the next epochs depend on, for a checkpoint."""
        on_card = self.state.device.type == "cuda"
        return {
            "state": [tensor.detach() for tensor in self.state.tensors()],
            "generator": self._generator.get_state(),
            "global": torch.get_rng_state(),
            "card": torch.cuda.get_rng_state(self.state.device) if on_card else None,
            "epochs": [astuple(epoch) for epoch in self.history],
        }

    def resume(self, content: dict[str, Any]) -> None:
        """Continue from what :meth:`content` returned."""
        self.state.restore(content["state"])
        self._generator.set_state(content["generator"])
        torch.set_rng_state(content["global"])
        if content["card"] is not None:
            torch.cuda.set_rng_state(content["card"], self.state.device)
        self.history = [Epoch(*values) for values in content["epochs"]]
        self.saved = True


@dataclass(frozen=True, slots=True)
class ChanceLevel:
    """Loss and error of a network that always gives the same answer.

    Args:
        loss: Training loss in nats: the entropy of the classes, smoothed as the recipe says.
        error: Validation error, less two standard deviations of a rate of that many images.
    """

    loss: float
    error: float

    @classmethod
    def of(cls, data: ImageData, recipe: Recipe) -> ChanceLevel:
        """Return the chance level of a data set under the loss of a recipe."""
        classes, smoothing = len(data.classes), recipe.label_smoothing
        shares = torch.bincount(data.train.labels.cpu(), minlength=classes).double()
        prior = (1 - smoothing) * shares / shares.sum() + smoothing / classes
        weights = class_weights(data.train.labels, classes, recipe)
        if weights is not None:
            prior = prior * weights.cpu().double()
        error = data.scored_by.constant(data.class_sizes(data.validation))
        return cls(
            loss=-torch.xlogy(prior, prior / prior.sum()).sum().item(),
            error=error - 2 * math.sqrt(error * (1 - error) / data.scored_images),
        )

    def suspects(self, epoch: Epoch) -> bool:
        """Tell whether a first epoch's loss is at chance level, to a thousandth."""
        return epoch.number == 1 and epoch.train_loss >= 0.999 * self.loss

    def confirms(self, epoch: Epoch) -> bool:
        """Tell whether the validation error of a suspect says the same."""
        score = epoch.validation_error
        return self.suspects(epoch) and score is not None and score >= self.error
