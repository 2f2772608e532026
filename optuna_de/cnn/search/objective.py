"""CNNObjective: a trial -> (validation error, parameters). Counts first, then trains.

The test split is out of its reach: :class:`optuna_de.cnn.data.dataset.ImageData` does not hold it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import optuna
import torch

from optuna_de._files import make_folder
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.genomes import Genome, render
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.recipes import Recipe
from optuna_de.cnn.study.attributes import (
    record,
    record_network,
    record_training,
    record_violation,
)
from optuna_de.cnn.study.trials import checkpoint_file, store_files
from optuna_de.cnn.training.checkpoint import discard_checkpoint
from optuna_de.cnn.training.epochs import Epoch
from optuna_de.cnn.training.memory import TrainingOutOfMemory, build_fitting
from optuna_de.cnn.training.trainer import TrainingResult, train
from optuna_de.halving import Halving, rate_margin
from optuna_de.worker.signals import GiveBack, stop_requested

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CNNObjective:
    """Trains the network that a trial suggests; minimise both values.

    A call returns ``(error rate on the validation split, trainable parameters)``; the error is
    that of a constant answer at worst, never NaN. A network over a cap is
    neither built nor trained: the trial is pruned with a constraint. One that does not fit into
    memory returns the worst error with a constraint. User attributes: ``architecture`` (text),
    ``macs``, ``generation``, ``machine``, ``seconds``, ``epochs``, ``seed``, ``status``,
    ``precision``, ``feasible`` and ``curve``, a list of ``[epoch, training loss, validation
    error]``; ``reason`` where a trial ended early. Artifacts: drawing, layer table and curve.

    Args:
        data: Training and validation images.
        space: Networks for images of that shape and number of classes.
        recipe: How to train.
        epochs: Epochs of training, at least 1; the recipe's where ``None``.
        batch_size: Images per step, at least 1; the recipe's where ``None``.
        device: Where to train.
        seed: With the architecture, it seeds a training: equal networks get equal errors.
        min_parameters: Fewest trainable parameters.
        max_parameters: Cap on trainable parameters.
        max_macs: Cap on multiply-accumulate operations for one image.
        halving: Stops networks that others dominate at equal epochs; ``None`` trains all.
        stop_dead: Stop a network that only guesses after its first epoch.
        checkpoints: Folder for the checkpoint of a running trial, from which a retry goes on, on
            any machine that sees the folder.
        artifacts: Folder for the files of trials, for optuna-dashboard; ``None`` for none.

    Raises:
        ValueError: Where data and space do not fit, a number is out of range, or a folder cannot
            be made.
    """

    data: ImageData
    space: CNNSpace
    recipe: Recipe
    epochs: int | None = None
    batch_size: int | None = None
    device: torch.device | str = "cpu"
    seed: int = 0
    min_parameters: int | None = None
    max_parameters: int | None = None
    max_macs: int | None = None
    halving: Halving | None = None
    stop_dead: bool = False
    checkpoints: Path | None = None
    artifacts: Path | None = None
    on_epoch: Callable[[optuna.Trial, Epoch], None] = field(default=lambda trial, epoch: None)

    def __post_init__(self) -> None:
        shape, classes = self.data.image_shape, len(self.data.classes)
        if (shape, classes) != (self.space.image_shape, self.space.classes):
            raise ValueError(
                f"The space is for images of {self.space.image_shape} in {self.space.classes} "
                f"classes, but the data has {shape} in {classes}."
            )
        for name in ("epochs", "batch_size", "min_parameters", "max_parameters", "max_macs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}, but must be 1 or more.")
        for folder in filter(None, (self.checkpoints, self.artifacts)):
            make_folder(folder)

    def __call__(self, trial: optuna.Trial) -> tuple[float, float]:
        """Suggest, count, train and score one network.

        Raises:
            optuna.TrialPruned: Over a cap, or stopped by ``halving``.
            GiveBack: The worker was asked to stop, or the device was lost; queue the trial again.
        """
        genome = self.space.suggest(trial)
        parameters = count_parameters(genome, self.space.image_shape, self.space.classes)
        record_network(trial, genome, self.space, self._accelerator())
        self._refuse_over_cap(trial, genome)
        try:
            result = self._train(trial, genome, parameters)
        except TrainingOutOfMemory as error:
            self._out_of_memory(trial, error)
            store_files(trial, self.artifacts, genome, self.space)
            return self._bounded(None), float(parameters)
        except torch.AcceleratorError as error:
            _logger.warning("Trial %d: the device is lost: %s", trial.number, error)
            raise GiveBack(str(error)) from error
        curve = record_training(trial, result)
        store_files(trial, self.artifacts, genome, self.space, curve)
        if result.status == "stopped":
            record(trial, reason="dominated at a rung")
            raise optuna.TrialPruned("Others dominate this network at equal epochs.")
        return self._bounded(result.error), float(parameters)

    def _accelerator(self) -> str:
        place = torch.device(self.device)
        return torch.cuda.get_device_name(place) if place.type == "cuda" else ""

    def _refuse_over_cap(self, trial: optuna.Trial, genome: Genome) -> None:
        size = count_parameters(genome, self.space.image_shape, self.space.classes)
        if self.min_parameters is not None and size < self.min_parameters:
            reason = f"{size:,} parameters are below the region's {self.min_parameters:,}"
            self._refuse(trial, genome, "parameters", self.min_parameters - size, reason)
        for name, count, cap in (
            ("parameters", count_parameters, self.max_parameters),
            ("macs", count_macs, self.max_macs),
        ):
            counted = count(genome, self.space.image_shape, self.space.classes)
            if cap is not None and counted > cap:
                reason = f"{counted:,} {name} are over the cap of {cap:,}"
                self._refuse(trial, genome, name, counted - cap, reason)

    def _refuse(
        self, trial: optuna.Trial, genome: Genome, name: str, excess: int, reason: str
    ) -> None:
        record_violation(trial, name, float(excess), reason)
        store_files(trial, self.artifacts, genome, self.space)
        raise optuna.TrialPruned(reason)

    def training_seed(self, genome: Genome) -> int:
        """Return the seed of a network's training, the same for equal networks."""
        return crc32(f"{self.seed}:{render(genome)}".encode())

    def _train(self, trial: optuna.Trial, genome: Genome, parameters: int) -> TrainingResult:
        seed = self.training_seed(genome)
        record(trial, seed=seed)
        file = checkpoint_file(trial, self.checkpoints)
        batch = self.batch_size or self.recipe.batch_size
        result = train(
            build_fitting(genome, self.space, batch, torch.device(self.device), seed),
            self.data,
            self.recipe,
            epochs=self.epochs or self.recipe.epochs,
            batch_size=self.batch_size,
            seed=seed,
            device=self.device,
            on_epoch=lambda epoch: self._after(trial, epoch, parameters),
            on_step=_leave_if_asked,
            stop_dead=self.stop_dead,
            checkpoint=file,
        )
        if file is not None:
            discard_checkpoint(file)
        return result

    def _after(self, trial: optuna.Trial, epoch: Epoch, parameters: int) -> bool:
        _leave_if_asked()
        self.on_epoch(trial, epoch)
        last = self.epochs or self.recipe.epochs
        if epoch.number == last or self.halving is None:
            return False
        error = self._bounded(epoch.validation_error)
        doubt = rate_margin(error, len(self.data.validation.labels), epoch.number / last)
        values = error, float(parameters)
        return self.halving.should_stop(trial, epoch.number, values, (doubt, 0.0))

    def _bounded(self, error: float | None) -> float:
        """Return an error that is never NaN, and that of a constant answer at worst."""
        chance = 1 - 1 / len(self.data.classes)
        return chance if error is None else min(error, chance)

    def _out_of_memory(self, trial: optuna.Trial, error: TrainingOutOfMemory) -> None:
        """Record the reason; a card that another process fills is worth another try."""
        _logger.warning("Trial %d: %s", trial.number, error)
        if error.foreign and torch.device(self.device).type != "cpu":
            raise GiveBack(str(error)) from error
        record_violation(trial, "memory", 1.0, str(error))
        record(trial, status="out of memory")


def _leave_if_asked() -> None:
    if stop_requested():
        raise GiveBack
