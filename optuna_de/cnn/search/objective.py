"""CNNObjective: a trial -> (validation error, prices). Prices first, then trains.

The test split is out of its reach: :class:`optuna_de.cnn.data.dataset.ImageData` does not hold it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

import optuna
import torch
from torch import nn

from optuna_de._files import make_folder
from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.genomes import Genome, render
from optuna_de.cnn.architecture.prices import MeasurementError, Price
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.recipes import Recipe
from optuna_de.cnn.search.fidelity import Fidelity, Ladder, reduced, unseen
from optuna_de.cnn.search.heritage import heritage_of, start_from, store_weights
from optuna_de.cnn.study.attributes import (
    measured_price,
    record,
    record_network,
    record_training,
    record_violation,
)
from optuna_de.cnn.study.objectives import MEASURES, describe_objectives
from optuna_de.cnn.study.trials import checkpoint_file, store_files
from optuna_de.cnn.training.checkpoint import discard_checkpoint
from optuna_de.cnn.training.epochs import Epoch
from optuna_de.cnn.training.evaluate import confusion_counts, evaluate_in_memory
from optuna_de.cnn.training.memory import TrainingOutOfMemory, build_fitting
from optuna_de.cnn.training.trainer import TrainingResult, train
from optuna_de.halving import Halving, rungs_of
from optuna_de.sampler.sampler import DESampler
from optuna_de.worker.signals import GiveBack, stop_requested

_logger = logging.getLogger(__name__)
_RESCORED = 8_000  # training images at most on which the networks of the last rung are scored
_TELLING = 2.0  # seconds between two records of a running trial's progress


@dataclass(frozen=True)
class CNNObjective:
    """Trains the network that a trial suggests; minimise all values.

    A call returns the error on the validation split, by the metric of the data, and each price, by
    default the trainable parameters; the error is that of a constant answer at worst, never NaN.
    A network over a limit of the space is neither built nor trained: the trial is pruned with a
    constraint. One that does not fit into memory returns the worst error with a constraint. User
    attributes:
    ``architecture`` (text), ``macs``, ``generation``, ``machine``, ``seconds``, ``epochs``,
    ``seed``, ``status``, ``precision``, ``feasible``, ``measured`` (prices that were measured, by
    name), ``rescored`` (error and images, of the last rung with training images that it did not
    see) and ``curve``, a list of ``[epoch, training loss, validation error]``; ``reason`` where a
    trial ended early. Artifacts: drawing, layer table and curve.

    Args:
        data: Training and validation images.
        space: Networks for images of that shape and number of classes, with limits.
        recipe: How to train.
        epochs: Epochs of training, at least 1; the recipe's where ``None``.
        batch_size: Images per step, at least 1; the recipe's where ``None``.
        device: Where to train.
        seed: With the architecture, it seeds a training: equal networks get equal errors.
        prices: Objectives beside the error, one or two usually; those of the space where ``None``.
            The attribute ``space`` has them, too: give that one to the sampler.
        halving: Stops networks that others dominate at equal epochs; ``None`` trains all.
        ladder: Fidelities of rungs, each of which trains a network anew; ``halving`` then decides
            after a rung. Empty trains once, on all images for ``epochs``.
        stop_dead: Stop a network that only guesses after its first epoch.
        inheritance: Whether a child starts from the weights of its best parent, and each rung
            from those of the rung below; they are stored in ``artifacts``, and the attribute
            ``inherited`` says what was found.
        checkpoints: Folder for the checkpoint of a running trial, from which a retry goes on, on
            any machine that sees the folder.
        artifacts: Folder for the files of trials, for optuna-dashboard; ``None`` for none.

    Raises:
        ValueError: Where data and space do not fit, a number is out of range, or a folder cannot
            be made.

    Example:
        >>> data = load_data("digits", subset=200)
        >>> space = CNNSpace(data.image_shape, len(data.classes))
        >>> objective = CNNObjective(data, space, get_recipe("fast"), epochs=1)
        >>> study = optuna.create_study(
        ...     directions=["minimize", "minimize"], sampler=DESampler(space=objective.space)
        ... )
        >>> study.optimize(objective, n_trials=1)
    """

    data: ImageData
    space: CNNSpace
    recipe: Recipe
    epochs: int | None = None
    batch_size: int | None = None
    device: torch.device | str = "cpu"
    seed: int = 0
    prices: tuple[Price, ...] | None = None
    halving: Halving | None = None
    ladder: Ladder = ()
    stop_dead: bool = False
    inheritance: bool = False
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
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}, but must be 1 or more.")
        if self.inheritance and self.artifacts is None:
            raise ValueError("inheritance needs a folder of artifacts, in which weights lie.")
        if self.prices is not None:
            object.__setattr__(self, "space", replace(self.space, priced=self.prices))
        for folder in filter(None, (self.checkpoints, self.artifacts)):
            make_folder(folder)

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        """Suggest, price, train and score one network.

        Raises:
            optuna.TrialPruned: Over a limit, or stopped by ``halving``.
            GiveBack: The worker was asked to stop, or the device was lost or did not answer; queue
                the trial again.
            ValueError: If the study or its sampler has other objectives, or a price is no number.
        """
        self._check_study(trial.study)
        genome = self.space.suggest(trial)
        record_network(trial, genome, self.space, self._accelerator())
        try:
            prices = self._refuse_or_price(trial, genome)
        except MeasurementError as error:
            _logger.warning("Trial %d: %s", trial.number, error)
            raise GiveBack(str(error)) from error
        try:
            climb = self._climb if self.ladder else self._train_whole
            result = climb(trial, genome, prices)
        except TrainingOutOfMemory as error:
            self._out_of_memory(trial, error)
            store_files(trial, self.artifacts, genome, self.space)
            return self._bounded(None), *prices
        except torch.AcceleratorError as error:
            _logger.warning("Trial %d: the device is lost: %s", trial.number, error)
            raise GiveBack(str(error)) from error
        curve = record_training(trial, result)
        store_files(trial, self.artifacts, genome, self.space, curve)
        if result.status == "stopped":
            record(trial, reason="dominated at a rung")
            raise optuna.TrialPruned("Others dominate this network at equal epochs.")
        return self._bounded(result.error), *prices

    def _check_study(self, study: optuna.Study) -> None:
        """Refuse a study, or a sampler's space, of other objectives."""
        metric = self.data.metric
        ours = describe_objectives(self.space.priced, metric)
        sampler = study.sampler
        space = sampler.space if isinstance(sampler, DESampler) else None
        theirs = [
            study.metric_names or ours[: len(study.directions)],
            describe_objectives(space.priced, metric) if isinstance(space, CNNSpace) else ours,
        ]
        for owner, names in zip(("study", "sampler's space"), theirs, strict=True):
            if names != ours or len(study.directions) != len(ours):
                raise ValueError(
                    f"The objective gives {', '.join(ours)}, but the {owner} has "
                    f"{', '.join(names)} and {len(study.directions)} directions."
                )

    def _accelerator(self) -> str:
        place = torch.device(self.device)
        return torch.cuda.get_device_name(place) if place.type == "cuda" else ""

    def _refuse_or_price(self, trial: optuna.Trial, genome: Genome) -> tuple[float, ...]:
        """Return the prices of a network within all limits; what is measured comes last."""
        shape, classes, least = (
            self.space.image_shape,
            self.space.classes,
            self.space.min_parameters,
        )
        size = count_parameters(genome, shape, classes)
        if least is not None and size < least:
            reason = f"{size:,} parameters are below the region's {least:,}"
            self._refuse(trial, genome, "parameters", float(least - size), reason)
        for limit in sorted(self.space.limits, key=lambda limit: not limit.price.known):
            value = self._price(trial, genome, limit.price)
            if limit.excess(value):
                reason = limit.reason(value)
                self._refuse(trial, genome, limit.price.name, limit.excess(value), reason)
        return tuple(self._price(trial, genome, price) for price in self.space.priced)

    def _price(self, trial: optuna.Trial, genome: Genome, price: Price) -> float:
        def value() -> float:
            return price.value(genome, self.space.image_shape, self.space.classes)

        return value() if price.known else measured_price(trial, price.name, value)

    def _refuse(
        self, trial: optuna.Trial, genome: Genome, name: str, excess: float, reason: str
    ) -> None:
        record_violation(trial, name, excess, reason)
        store_files(trial, self.artifacts, genome, self.space)
        raise optuna.TrialPruned(reason)

    def training_seed(self, genome: Genome) -> int:
        """Return the seed of a network's training, the same for equal networks."""
        return crc32(f"{self.seed}:{render(genome)}".encode())

    def _climb(
        self, trial: optuna.Trial, genome: Genome, prices: tuple[float, ...]
    ) -> TrainingResult:
        """Train a network at rung after rung, until others dominate it or it is at the top."""
        known, seconds, passes = rungs_of(trial.user_attrs), 0.0, 0
        for rung, fidelity in enumerate(self.ladder, 1):
            if rung in known:  # by a worker that gave the trial back
                if known[rung].stop:
                    raise optuna.TrialPruned("Others dominate this network at an earlier rung.")
                continue
            result, model = self._train(trial, genome, prices, rung)
            seconds, passes = seconds + result.seconds, passes + fidelity.passes
            result = replace(result, seconds=seconds)
            if result.status != "ok":
                break
            is_last = rung == len(self.ladder)
            if not is_last and self._stops_at(trial, rung, result.error, prices):
                result = replace(result, status="stopped")
                break
            self._keep(trial, model, rung)
        record(trial, passes=passes)
        return result

    def _train_whole(
        self, trial: optuna.Trial, genome: Genome, prices: tuple[float, ...]
    ) -> TrainingResult:
        """Train a network once, on all images."""
        result, model = self._train(trial, genome, prices)
        if result.status == "ok":
            self._keep(trial, model, 0)
        return result

    def _keep(self, trial: optuna.Trial, model: nn.Module, rung: int) -> None:
        """Store the weights of a network that children may start from."""
        if self.inheritance and self.artifacts is not None:
            store_weights(trial, model, self.artifacts, rung)

    def _stops_at(
        self, trial: optuna.Trial, rung: int, error: float, prices: tuple[float, ...]
    ) -> bool:
        """Return whether a network ends at a rung of the ladder."""
        if self.halving is None:
            return False
        values = self._bounded(error), *prices
        margins = (self._doubt(values[0], 1.0), *(0.0 for _ in prices))
        return self.halving.should_stop(trial, rung, values, margins)

    def _doubt(self, error: float, progress: float) -> float:
        """Return the uncertainty of an error after a share of a training."""
        return MEASURES[self.data.metric].margin(error, self.data.scored_images, progress)

    def _train(
        self, trial: optuna.Trial, genome: Genome, prices: tuple[float, ...], rung: int = 0
    ) -> tuple[TrainingResult, nn.Module]:
        """Train a network at a rung of the ladder, from 1; at 0 without one."""
        seed = self.training_seed(genome)
        record(trial, seed=seed)
        file = checkpoint_file(trial, self.checkpoints)
        if file is not None and rung:
            file = file.with_name(f"{file.stem}-{rung}{file.suffix}")
        data, epochs = self.data, self.epochs or self.recipe.epochs
        if rung:
            fidelity = self.ladder[rung - 1]
            data, epochs = reduced(self.data, fidelity.images), fidelity.epochs
        batch = self.batch_size or self.recipe.batch_size
        place = f"rung {rung} of {len(self.ladder)}, " if rung else ""
        tell = epoch_teller(trial, place, epochs)
        model = build_fitting(genome, self.space, batch, torch.device(self.device), seed)
        result = train(
            model,
            data,
            self._inherit(trial, genome, model, seed, rung),
            epochs=epochs,
            batch_size=self.batch_size,
            seed=seed,
            device=self.device,
            on_epoch=lambda epoch: self._after(trial, epoch, prices, tell),
            on_step=_leave_if_asked,
            stop_dead=self.stop_dead,
            checkpoint=file,
        )
        if rung and rung == len(self.ladder) and result.status == "ok":
            self._rescore(trial, model, result, self.ladder[-1])
        if file is not None:
            discard_checkpoint(file)
        return result, model

    def _rescore(
        self, trial: optuna.Trial, model: nn.Module, result: TrainingResult, fidelity: Fidelity
    ) -> None:
        """Score a network of the last rung on training images that it has not seen, too."""
        most = max(1, min(_RESCORED, fidelity.passes // 4))
        others = unseen(self.data, fidelity.images, most)
        if others is None:
            return
        counts = confusion_counts(len(self.data.classes), torch.device(self.device))
        evaluate_in_memory(
            model,
            others,
            self.data.mean,
            self.data.std,
            device=self.device,
            batch_sizes=(256, 64, 16, 4, 1),
            bfloat16=result.precision == "bfloat16",
            confusion=counts,
        )
        error = self.data.scored_by.of(counts.cpu().numpy())
        held, more = len(self.data.validation.labels), len(others.labels)
        joint = (held * result.error + more * error) / (held + more)
        record(trial, rescored={"error": round(joint, 6), "images": held + more})

    def _inherit(
        self, trial: optuna.Trial, genome: Genome, model: nn.Module, seed: int, rung: int
    ) -> Recipe:
        """Let a network start from weights that it inherits; return the recipe that goes on."""
        if not self.inheritance or self.artifacts is None:
            return self.recipe
        heritage = heritage_of(trial, genome, self.artifacts, rung)
        he = self.recipe.initialisation == "he"
        said = start_from(model, genome, heritage, self.space, self.data, seed, he=he)
        if rung < 2:
            record(trial, inherited=said)
        if heritage.is_lost:
            _logger.warning("Trial %d starts %s.", trial.number, said)
        return replace(self.recipe, initialisation="torch") if heritage.parent else self.recipe

    def _after(
        self,
        trial: optuna.Trial,
        epoch: Epoch,
        prices: tuple[float, ...],
        tell: Callable[[Epoch], None],
    ) -> bool:
        _leave_if_asked()
        self.on_epoch(trial, epoch)
        tell(epoch)
        last = self.epochs or self.recipe.epochs
        if epoch.number == last or self.halving is None or self.ladder:
            return False
        error = self._bounded(epoch.validation_error)
        margins = (self._doubt(error, epoch.number / last), *(0.0 for _ in prices))
        return self.halving.should_stop(trial, epoch.number, (error, *prices), margins)

    def _bounded(self, error: float | None) -> float:
        """Return an error that is never NaN, and that of a constant answer at worst."""
        chance = self.data.scored_by.chance(len(self.data.classes))
        return chance if error is None else min(error, chance)

    def _out_of_memory(self, trial: optuna.Trial, error: TrainingOutOfMemory) -> None:
        """Record the reason; a card that another process fills is worth another try."""
        _logger.warning("Trial %d: %s", trial.number, error)
        if error.foreign and torch.device(self.device).type != "cpu":
            raise GiveBack(str(error)) from error
        record_violation(trial, "memory", 1.0, str(error))
        record(trial, status="out of memory")


def epoch_teller(trial: optuna.Trial, place: str, epochs: int) -> Callable[[Epoch], None]:
    """Return a function that records the progress of a trial, at most every two seconds.

    Args:
        trial: A running trial.
        place: Words before the epoch.
        epochs: Epochs of the training.
    """
    last_report = time.monotonic()

    def tell(epoch: Epoch) -> None:
        nonlocal last_report
        if time.monotonic() - last_report >= _TELLING:
            last_report = time.monotonic()
            record(trial, progress=f"{place}epoch {epoch.number} of {epochs}")

    return tell


def _leave_if_asked() -> None:
    if stop_requested():
        raise GiveBack
