"""Final training of one network: resumable by epoch, the test split opened once, at the end.

Two ways. Unless told otherwise, training takes the train and validation splits together; no image
is left to choose an epoch by, so the last one counts. With ``keep_validation`` the validation
split stays apart, and the epoch it likes best is scored on the test split beside the last one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from optuna_de.cnn.data.dataset import ImageData, Split, moments
from optuna_de.cnn.evaluation.job import TrainingJob
from optuna_de.cnn.training import checkpoint
from optuna_de.cnn.training.epochs import Epoch
from optuna_de.cnn.training.evaluate import evaluate
from optuna_de.cnn.training.memory import TrainingOutOfMemory
from optuna_de.cnn.training.trainer import TrainingResult, train

State = dict[str, Tensor]
CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
_WATCHED = 1000  # training images that are also looked at as they are, after every epoch


class TrainingFailedError(ValueError):
    """A training that came to no weights worth a figure; the message is one sentence."""


@dataclass(frozen=True, eq=False, slots=True)
class Fitted:
    """A network after training, before the test split is opened.

    Args:
        result: The learning curve; its validation figures are those of held-out images with
            ``keep_validation``, else of training images without augmentation.
        data: What it was trained on, with the moments that its images are normalised by.
        last: Weights after the last epoch, on the CPU.
        best: Weights of the epoch with the least validation error, and its number; or None.
    """

    result: TrainingResult
    data: ImageData
    last: State
    best: tuple[int, State] | None


def joined(data: ImageData) -> ImageData:
    """Return a set whose training split is the train and validation splits together.

    Its validation split is a sample of that, at most 1,000 images: an error on it is a training
    error without augmentation, no held-out one.
    """
    images = torch.cat([data.train.images, data.validation.images])
    labels = torch.cat([data.train.labels, data.validation.labels])
    step = -(-len(data.validation.labels) // _WATCHED)
    mean, std = moments(images)
    return replace(
        data,
        train=Split(images.contiguous(memory_format=torch.channels_last), labels),
        validation=Split(data.validation.images[::step], data.validation.labels[::step]),
        mean=mean,
        std=std,
        fingerprint=hashlib.sha256(f"joined {data.fingerprint}".encode()).hexdigest()[:16],
    )


def fit(
    job: TrainingJob,
    folder: Path,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Fitted:
    """Train, or go on from the folder's checkpoint; the test split is not touched.

    Args:
        job: What to do.
        folder: Exists; gets a checkpoint after every epoch.
        on_epoch: Called after each epoch; after a resumption for the last finished one again.

    Raises:
        TrainingFailedError: Where training diverged or does not fit into memory.
        ValueError: Where the weights of the best epoch are lost.
    """
    module, data = job.network(), job.data if job.keep_validation else joined(job.data)
    best = BestEpoch(folder / BEST, json.dumps(job.setup())) if job.keep_validation else None

    def after(epoch: Epoch) -> bool:
        if best is not None:
            best.look(epoch, module)
        on_epoch(epoch)
        return False

    try:
        result = train(
            module,
            data.to(job.device),
            job.recipe,
            epochs=job.epochs,
            batch_size=job.batch_size,
            seed=job.seed,
            device=job.device,
            on_epoch=after,
            checkpoint=folder / CHECKPOINT,
        )
    except TrainingOutOfMemory as error:
        raise TrainingFailedError(f"The network cannot be trained here: {error}") from error
    if result.status == "diverged":
        raise TrainingFailedError(
            f"Training diverged in epoch {len(result.epochs)}: the loss is not finite; choose "
            "another recipe, batch size or seed, and another --out."
        )
    return Fitted(result, data, state_of(module), None if best is None else best.of(result.epochs))


def score(job: TrainingJob, fitted: Fitted, test: Split) -> dict[str, Any]:
    """Return error, accuracy and loss on the test split of the last and the best epoch.

    They are computed in float32, as the exported network computes.

    Raises:
        ValueError: Where the test images have another shape than those trained on.
    """
    if tuple(test.images.shape[1:]) != job.data.image_shape:
        raise ValueError(
            f"The test images are {tuple(test.images.shape[1:])}, but the network was trained on "
            f"{job.data.image_shape}."
        )
    chosen = {"last": (len(fitted.result.epochs), fitted.last)}
    if fitted.best is not None:
        chosen["best"] = fitted.best
    return {name: _figures(job, fitted, *which, test) for name, which in chosen.items()}


def _figures(
    job: TrainingJob, fitted: Fitted, number: int, state: State, test: Split
) -> dict[str, Any]:
    module = job.network()
    module.load_state_dict(state)
    module.to(job.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    data = fitted.data
    error, loss = evaluate(module, test, data.mean, data.std, device=job.device)
    held_out = fitted.result.epochs[number - 1].validation_error if job.keep_validation else None
    return {
        "epoch": number,
        "validation error": held_out,
        "test error": error,
        "test accuracy": 1 - error,
        "test loss": loss,
        "test images": len(test.labels),
    }


def state_of(module: nn.Module) -> State:
    """Return copies of a module's tensors on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


class BestEpoch:
    """Keeps the weights of the epoch with the least validation error, the first of equals.

    Args:
        path: The file; its folder exists.
        key: Names the training that it belongs to.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._kept = checkpoint.load(path, key)

    def look(self, epoch: Epoch, module: nn.Module) -> None:
        """Keep the module's weights, which have just been scored, where they are the best."""
        error, kept = epoch.validation_error, self._kept
        known = kept is not None and kept["epoch"] <= epoch.number  # a later one is another run's
        if error is None or (kept is not None and known and kept["error"] <= error):
            return
        self._kept = {"epoch": epoch.number, "error": error, "state": state_of(module)}
        checkpoint.save(self._path, self._key, self._kept)

    def of(self, epochs: tuple[Epoch, ...]) -> tuple[int, State]:
        """Return number and weights of the best of these epochs.

        Raises:
            ValueError: Where its weights are lost.
        """
        errors = [epoch.validation_error for epoch in epochs]
        number = 1 + min(range(len(errors)), key=lambda i: (errors[i], i))
        if self._kept is None or self._kept["epoch"] != number:
            raise ValueError(f"{self._path} lacks epoch {number}; train anew in another --out.")
        return number, self._kept["state"]
