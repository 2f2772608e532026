"""CNNObjective: a trial -> (validation error, parameters). Counts first, then trains.

The test split is out of its reach: :class:`optuna_de.cnn.data.ImageData` does not hold it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import optuna
import torch

from optuna_de import _compat
from optuna_de.cnn.data import ImageData
from optuna_de.cnn.layers import count_macs, count_parameters
from optuna_de.cnn.memory import (
    TrainingOutOfMemory,
    attempt,
    device_memory,
    estimate_memory,
    fitting_micro_batch,
)
from optuna_de.cnn.model import build
from optuna_de.cnn.recipes import Recipe
from optuna_de.cnn.space import CNNSpace
from optuna_de.cnn.training import Epoch, TrainingResult, train
from optuna_de.cnn.units import Genome, render
from optuna_de.halving import Halving
from optuna_de.worker import GiveBack, stop_requested

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CNNObjective:
    """Trains the network that a trial suggests; minimise both values.

    A call returns ``(error rate on the validation split, trainable parameters)``; the error is
    that of a constant answer at worst, never NaN. A network over a cap is
    neither built nor trained: the trial is pruned with a constraint. One that does not fit into
    memory returns the worst error with a constraint. User attributes: ``architecture`` (text),
    ``macs``, ``seconds``, ``epochs``, ``seed``, ``status`` and ``curve``, a list of
    ``[epoch, training loss, validation error]``; ``reason`` where a trial ended early.

    Args:
        data: Training and validation images.
        space: Networks for images of that shape and number of classes.
        recipe: How to train.
        epochs: Epochs of training, at least 1; the recipe's where ``None``.
        batch_size: Images per step, at least 1; the recipe's where ``None``.
        device: Where to train.
        seed: With the architecture, it seeds a training: equal networks get equal errors.
        max_parameters: Cap on trainable parameters.
        max_macs: Cap on multiply-accumulate operations for one image.
        halving: Stops networks that others dominate at equal epochs; ``None`` trains all.
        stop_dead: Stop a network that only guesses after its first epoch.
        checkpoints: Folder for the checkpoint of a running trial, from which a retry goes on.

    Raises:
        ValueError: Where data and space do not fit, or a number is out of range.
    """

    data: ImageData
    space: CNNSpace
    recipe: Recipe
    epochs: int | None = None
    batch_size: int | None = None
    device: torch.device | str = "cpu"
    seed: int = 0
    max_parameters: int | None = None
    max_macs: int | None = None
    halving: Halving | None = None
    stop_dead: bool = False
    checkpoints: Path | None = None
    on_epoch: Callable[[optuna.Trial, Epoch], None] = field(default=lambda trial, epoch: None)

    def __post_init__(self) -> None:
        shape, classes = self.data.image_shape, len(self.data.classes)
        if (shape, classes) != (self.space.image_shape, self.space.classes):
            raise ValueError(
                f"The space is for images of {self.space.image_shape} in {self.space.classes} "
                f"classes, but the data has {shape} in {classes}."
            )
        for name in ("epochs", "batch_size", "max_parameters", "max_macs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}, but must be 1 or more.")

    def __call__(self, trial: optuna.Trial) -> tuple[float, float]:
        """Suggest, count, train and score one network.

        Raises:
            optuna.TrialPruned: Over a cap, or stopped by ``halving``.
            GiveBack: The worker was asked to stop, or the device was lost; queue the trial again.
        """
        genome = self.space.suggest(trial)
        parameters = count_parameters(genome, self.space.image_shape, self.space.classes)
        macs = count_macs(genome, self.space.image_shape, self.space.classes)
        trial.set_user_attr("architecture", render(genome))
        trial.set_user_attr("macs", macs)
        self._refuse_over_cap(trial, {"parameters": parameters, "macs": macs})
        try:
            result = self._train(trial, genome, parameters)
        except TrainingOutOfMemory as error:
            return self._out_of_memory(trial, error), float(parameters)
        except torch.AcceleratorError as error:
            _logger.warning("Trial %d: the device is lost: %s", trial.number, error)
            raise GiveBack(str(error)) from error
        self._record(trial, result)
        if result.status == "stopped":
            trial.set_user_attr("reason", "dominated at a rung")
            raise optuna.TrialPruned("Others dominate this network at equal epochs.")
        return self._bounded(result.error), float(parameters)

    def _refuse_over_cap(self, trial: optuna.Trial, counts: dict[str, int]) -> None:
        for name, cap in (("parameters", self.max_parameters), ("macs", self.max_macs)):
            if cap is not None and counts[name] > cap:
                reason = f"{counts[name]:,} {name} are over the cap of {cap:,}"
                trial.set_constraint(name, float(counts[name] - cap))
                trial.set_user_attr("reason", reason)
                raise optuna.TrialPruned(reason)

    def training_seed(self, genome: Genome) -> int:
        """Return the seed of a network's training, the same for equal networks."""
        return crc32(f"{self.seed}:{render(genome)}".encode())

    def _train(self, trial: optuna.Trial, genome: Genome, parameters: int) -> TrainingResult:
        seed = self.training_seed(genome)
        trial.set_user_attr("seed", seed)
        file = self._checkpoint(trial)
        result = train(
            self._build(genome, seed),
            self.data,
            self.recipe,
            epochs=self.epochs or self.recipe.epochs,
            batch_size=self.batch_size,
            seed=seed,
            device=self.device,
            on_epoch=lambda epoch: self._after(trial, epoch, parameters),
            stop_dead=self.stop_dead,
            checkpoint=file,
        )
        if file is not None:
            file.unlink(missing_ok=True)
        return result

    def _build(self, genome: Genome, seed: int) -> torch.nn.Module:
        """Build the network, its memory checked on torch's meta device before."""
        place = torch.device(self.device)
        batch = self.batch_size or self.recipe.batch_size
        with torch.device("meta"):
            ghost = build(genome, self.space.image_shape, self.space.classes)
        fitting_micro_batch(
            lambda images: estimate_memory(ghost, self.space.image_shape, images),
            batch,
            device_memory(place),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            built = attempt(
                lambda: build(genome, self.space.image_shape, self.space.classes), place
            )
        if built is None:
            raise TrainingOutOfMemory("The network's weights do not fit into memory.")
        return built[0]

    def _checkpoint(self, trial: optuna.Trial) -> Path | None:
        """Return the file of a trial and of all its retries."""
        if self.checkpoints is None:
            return None
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        history = _compat.frozen(trial).system_attrs.get("retry_history") or [trial.number]
        study = crc32(trial.study.study_name.encode())
        return self.checkpoints / f"{study:08x}-{int(history[0])}.pt"

    def _after(self, trial: optuna.Trial, epoch: Epoch, parameters: int) -> bool:
        if stop_requested():
            raise GiveBack
        self.on_epoch(trial, epoch)
        if epoch.number == (self.epochs or self.recipe.epochs) or self.halving is None:
            return False
        error = self._bounded(epoch.validation_error)
        return self.halving.should_stop(trial, epoch.number, (error, float(parameters)))

    def _bounded(self, error: float | None) -> float:
        """Return an error that is never NaN, and that of a constant answer at worst."""
        chance = 1 - 1 / len(self.data.classes)
        return chance if error is None else min(error, chance)

    def _record(self, trial: optuna.Trial, result: TrainingResult) -> None:
        curve = [[e.number, _finite(e.train_loss), e.validation_error] for e in result.epochs]
        for name, value in (
            ("curve", curve),
            ("epochs", len(curve)),
            ("seconds", round(result.seconds, 3)),
            ("status", result.status),
        ):
            trial.set_user_attr(name, value)
        if result.status != "ok":
            trial.set_user_attr("reason", result.status)

    def _out_of_memory(self, trial: optuna.Trial, error: TrainingOutOfMemory) -> float:
        """Record the reason; a card that another process fills is worth another try."""
        if error.foreign and torch.device(self.device).type != "cpu":
            _logger.warning("Trial %d: %s", trial.number, error)
            raise GiveBack(str(error)) from error
        _logger.warning("Trial %d: %s", trial.number, error)
        trial.set_constraint("memory", 1.0)
        trial.set_user_attr("reason", str(error))
        trial.set_user_attr("status", "out of memory")
        return self._bounded(None)


def _finite(loss: float) -> float | None:
    """Return a loss that JSON can hold."""
    return round(loss, 6) if abs(loss) < float("inf") else None
