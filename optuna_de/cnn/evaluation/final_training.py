"""Final training of one network: its weights, best epoch and scores on the test split.

It resumes by epoch, and the test split is opened once, after the last epoch. By default it trains
on the training and validation splits together and reports the last epoch. With
``keep_validation`` it trains on the training split, chooses the epoch with the lowest validation
error, and reports that epoch and the last one.
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
from optuna_de.cnn.data.store.mapped_images import joined
from optuna_de.cnn.evaluation.training_job import TrainingJob
from optuna_de.cnn.export.teacher import Teacher
from optuna_de.cnn.modules.fake_quantization import fake_quantized
from optuna_de.cnn.modules.tta import Averaged
from optuna_de.cnn.training.checkpoint import load_checkpoint, save_checkpoint
from optuna_de.cnn.training.epochs import Epoch
from optuna_de.cnn.training.evaluate import confusion_counts, evaluate_in_memory
from optuna_de.cnn.training.memory import TrainingOutOfMemory
from optuna_de.cnn.training.trainer import TrainingResult, train

StateDict = dict[str, Tensor]
CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
TUNED = "checkpoint-int8.pt"
_SAMPLE = 1000  # training images that are also scored without augmentation, after every epoch
_TEST_BATCHES = (256, 64, 16, 4, 1)


class TrainingFailedError(ValueError):
    """Final training that diverged or does not fit into memory; the message is one sentence."""


@dataclass(frozen=True, eq=False, slots=True)
class FinalWeights:
    """Weights of a final training: those of the last epoch and of the best one.

    Args:
        result: The learning curve; its validation figures are those of held-out images with
            ``keep_validation``, else of training images without augmentation.
        mean: Mean of each channel of the training images in [0, 1].
        std: Deviation of each channel.
        last: Weights after the last epoch, on the CPU.
        best: The epoch with the lowest validation error and its weights, or None.
    """

    result: TrainingResult
    mean: tuple[float, ...]
    std: tuple[float, ...]
    last: StateDict
    best: tuple[int, StateDict] | None


def join_splits(data: ImageData) -> ImageData:
    """Return a set whose training split is the train and validation splits together.

    Its validation split is a sample of that, at most 1,000 images: an error on it is a training
    error without augmentation, not a held-out error.
    """
    labels = torch.cat([data.train.labels, data.validation.labels])
    step = -(-len(data.validation.labels) // _SAMPLE)
    mean, std = moments(data.train.images, data.validation.images)
    return replace(
        data,
        train=Split(joined(data.train.images, data.validation.images), labels),
        validation=Split(data.validation.images[::step], data.validation.labels[::step]),
        mean=mean,
        std=std,
        fingerprint=hashlib.sha256(f"joined {data.fingerprint}".encode()).hexdigest()[:16],
    )


def run_final_training(
    job: TrainingJob,
    folder: Path,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[], None] = lambda: None,
) -> FinalWeights:
    """Run a final training of one network, or resume it; the test split is not opened.

    Args:
        job: The training.
        folder: Gets a checkpoint after every epoch.
        on_epoch: Called after each epoch; after a resumption for the last finished one again.
        on_step: Called before each step; what it raises ends the training, which can be resumed.

    Raises:
        TrainingFailedError: If training diverged or does not fit into memory.
        ValueError: If the weights of the best epoch are lost.
    """
    module, data = job.network(), job.data if job.keep_validation else join_splits(job.data)
    chooses = job.keep_validation and not job.last_epoch
    first = replace(job, epochs=(*job.stretched_from, job.epochs)[0], stretched_from=())
    best = BestEpoch(folder / BEST, json.dumps(first.setup())) if chooses else None

    def after(epoch: Epoch) -> bool:
        if best is not None:
            best.update(epoch, module)
        on_epoch(epoch)
        return False

    def report(epoch: Epoch) -> bool:
        on_epoch(epoch)
        return False

    every = report if job.quantize_aware else after
    result = _train(job, module, data, folder / CHECKPOINT, every, on_step)
    candidates = result.epochs
    if job.quantize_aware:
        result = _tune(job, module, data, folder / TUNED, result, after, on_step)
        candidates = result.epochs[job.epochs :]
    chosen = None if best is None else best.weights(candidates)
    return FinalWeights(result, data.mean, data.std, copy_state(module), chosen)


def _train(
    job: TrainingJob,
    module: nn.Module,
    data: ImageData,
    checkpoint: Path,
    on_epoch: Callable[[Epoch], bool],
    on_step: Callable[[], None],
    *,
    pad_channels: bool | None = None,
) -> TrainingResult:
    """Train one part of a final training.

    Raises:
        TrainingFailedError: If training diverged or does not fit into memory.
    """
    try:
        result = train(
            module,
            data.to(job.device),
            job.recipe,
            epochs=job.epochs,
            batch_size=job.batch_size,
            seed=job.seed,
            device=job.device,
            on_epoch=on_epoch,
            on_step=on_step,
            checkpoint=checkpoint,
            pad_channels=pad_channels,
            stretched_from=job.stretched_from,
            teacher=Teacher(job.teacher, data.mean, data.std) if job.teacher else None,
        )
    except TrainingOutOfMemory as error:
        raise TrainingFailedError(f"The network cannot be trained here: {error}") from error
    if result.status == "diverged":
        raise TrainingFailedError(
            f"Training diverged in epoch {len(result.epochs)} (the loss is not finite). Choose "
            "another recipe, batch size or seed, and another --out."
        )
    return result


def _tune(
    job: TrainingJob,
    module: nn.Module,
    data: ImageData,
    checkpoint: Path,
    before: TrainingResult,
    on_epoch: Callable[[Epoch], bool],
    on_step: Callable[[], None],
) -> TrainingResult:
    """Train on with weights and activations rounded to int8; return the result of both parts."""

    def later(epoch: Epoch) -> Epoch:
        return replace(epoch, number=epoch.number + job.epochs)

    with fake_quantized(module):
        tuned = _train(
            *(job.tuning, module, data, checkpoint),
            lambda epoch: on_epoch(later(epoch)),
            on_step,
            pad_channels=False,  # a padded copy would not be rounded
        )
    return replace(
        tuned,
        epochs=(*before.epochs, *map(later, tuned.epochs)),
        seconds=before.seconds + tuned.seconds,
    )


def score_final_training(job: TrainingJob, weights: FinalWeights, test: Split) -> dict[str, Any]:
    """Return the scores of a final training on the test split: last and best epoch.

    They are computed in float32, as the exported network computes.

    Raises:
        ValueError: If the test images have another shape than those trained on.
        TrainingOutOfMemory: If not one image fits.
    """
    if tuple(test.images.shape[1:]) != job.data.image_shape:
        raise ValueError(
            f"The test images are {tuple(test.images.shape[1:])}, but the network was trained on "
            f"{job.data.image_shape}."
        )
    epochs = {"last": (len(weights.result.epochs), weights.last)}
    if weights.best is not None:
        epochs["best"] = weights.best
    return {name: _figures(job, weights, *epoch, test) for name, epoch in epochs.items()}


def _figures(
    job: TrainingJob, weights: FinalWeights, number: int, state: StateDict, test: Split
) -> dict[str, Any]:
    module = job.network()
    module.load_state_dict(state)
    module.to(job.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    counts = confusion_counts(len(job.data.classes), job.device)

    def score(network: nn.Module, confusion: Tensor | None = None) -> tuple[float, float]:
        return evaluate_in_memory(
            network,
            test,
            weights.mean,
            weights.std,
            device=job.device,
            batch_sizes=_TEST_BATCHES,
            confusion=confusion,
        )

    error, loss = score(module, counts)
    views = confusion_counts(len(job.data.classes), job.device)
    averaged = score(Averaged(module, job.tta), views)[0] if job.tta != "none" else None
    metric = job.data.scored_by
    held_out = weights.result.epochs[number - 1].validation_error if job.keep_validation else None
    return {
        "epoch": number,
        "validation error": held_out,
        "test accuracy": 1 - error,
        "test loss": loss,
        "test images": len(test.labels),
        f"test {job.data.metric}": metric.of(counts.cpu().numpy()),
        "test error": error,
        "confusion": counts.tolist(),
        **({} if averaged is None else {"test accuracy with tta": 1 - averaged}),
        **(
            {}
            if averaged is None
            else {f"test {job.data.metric} with tta": metric.of(views.cpu().numpy())}
        ),
    }


def copy_state(module: nn.Module) -> StateDict:
    """Return copies of a module's tensors on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


class BestEpoch:
    """Best epoch of a final training: the weights with the lowest validation error.

    They are kept in a file too, so that a killed training can resume.

    Args:
        path: The file.
        key: Names the training that it belongs to.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._kept = load_checkpoint(path, key)

    def update(self, epoch: Epoch, module: nn.Module) -> None:
        """Keep the module's weights, which have just been scored, if they are the best."""
        error, kept = epoch.validation_error, self._kept
        # A later epoch than this one is of a run that resumed from an older checkpoint.
        current = kept is not None and kept["epoch"] <= epoch.number
        if error is None or (kept is not None and current and kept["error"] <= error):
            return
        self._kept = {"epoch": epoch.number, "error": error, "state": copy_state(module)}
        save_checkpoint(self._path, self._key, self._kept)

    def weights(self, epochs: tuple[Epoch, ...]) -> tuple[int, StateDict]:
        """Return number and weights of the best of these epochs.

        Raises:
            ValueError: If its weights are lost.
        """
        number = min((epoch.validation_error, epoch.number) for epoch in epochs)[1]
        if self._kept is None or self._kept["epoch"] != number:
            raise ValueError(f"{self._path} lacks epoch {number}; train again in another --out.")
        return number, self._kept["state"]
