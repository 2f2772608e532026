"""Finals: a second study whose trials are picks of a search, trained fully by the same workers.

Each trial is a pick with a seed; it trains on the training split by the recipe ``final`` and is
scored on the validation split. The test split is out of reach here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import optuna
import torch
from optuna.trial import FrozenTrial, TrialState

from optuna_de._attributes import read_count, read_number
from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.region import Region
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.evaluation.final_training import (
    CHECKPOINT,
    TrainingFailedError,
    run_final_training,
)
from optuna_de.cnn.evaluation.training_job import TrainingJob
from optuna_de.cnn.export.model_folder import TrainedModel
from optuna_de.cnn.fitting.smoothing import smoothed_errors
from optuna_de.cnn.fitting.teachers import choose_teacher, read_teacher
from optuna_de.cnn.recipes import Recipe, fit_recipe, get_recipe
from optuna_de.cnn.search.fidelity import FACTOR
from optuna_de.cnn.search.objective import epoch_teller
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.study.attributes import (
    read_attributes,
    record,
    record_network,
    record_training,
)
from optuna_de.cnn.study.objectives import MEASURES
from optuna_de.cnn.study.setup import SETUP_KEY, check_setup
from optuna_de.cnn.study.trials import CHECKPOINT_KEY, checkpoint_file, network_of
from optuna_de.cnn.training.checkpoint import discard_checkpoint
from optuna_de.cnn.training.device import pick_device
from optuna_de.cnn.training.epochs import Epoch
from optuna_de.halving import Halving
from optuna_de.storage.url import redact
from optuna_de.worker.signals import GiveBack, stop_requested

HALVING = Halving((1, 2), reduction_factor=FACTOR, full_share=0.0)
"""Early end of finals: the ladder's rule, after each third of a training."""
_FEWEST_TO_END = 6  # epochs of a final that may end early
_USUAL_IMAGES = 1_000
SEED, EPOCHS, PICK = "final seed", "final epochs", "pick"
"""User attributes of a final, set when it is queued: its seed, epochs, and the search's trial."""


def pick_finals(study: optuna.Study, region: Region, each: int) -> list[FrozenTrial]:
    """Return the trials of a search with the least smoothed errors in each band of its region.

    Args:
        study: The search.
        region: Where it looked.
        each: Networks of a band at most.
    """
    trials = usable_trials(study)
    held = _validation_images(study)
    scores = [_score(trial, held) for trial in trials]
    smooth = smoothed_errors(
        [error for error, _ in scores], [n for _, n in scores], [t.values[1] for t in trials]
    )
    ranked = sorted(zip(smooth, trials, strict=True), key=lambda pair: (pair[0], pair[1].values))
    picks: list[FrozenTrial] = []
    for low, high in region.bands():
        last = high == region.max_parameters
        picks += [t for _, t in ranked if low <= t.values[1] < high + last][:each]
    return picks


def usable_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the complete trials of a study that break no constraint."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [t for t in trials if all(c <= 0 for c in t.constraints.values())]


def _score(trial: FrozenTrial, held: int) -> tuple[float, int]:
    """Return the error of a trial and the images that it was measured on."""
    again = read_attributes(trial).values.get("rescored", {})
    error, images = again.get("error"), again.get("images")
    if error is None or not images or images < held:
        return trial.values[0], held
    return error, int(images)


def _validation_images(study: optuna.Study) -> int:
    """Return the number of validation images that a study records."""
    setup = study.user_attrs.get(SETUP_KEY)
    images = str(setup.get("images")) if isinstance(setup, Mapping) else ""
    match = re.fullmatch(r"\d+ \+ (\d+)", images)
    return max(1, int(match[1])) if match else _USUAL_IMAGES


def seconds_of_pass(trial: FrozenTrial) -> float | None:
    """Return what one training image of a trial's network cost, in seconds, if it says so."""
    seconds = read_number(trial.user_attrs.get("seconds"))
    passes = read_count(trial.user_attrs.get("passes"))
    return seconds / passes if seconds and passes else None


def mean_pass_costs(picks: Sequence[FrozenTrial], usual: float) -> list[float]:
    """Return the seconds of a training image of each pick; ``usual`` where nothing is known."""
    known = [seconds_of_pass(trial) for trial in picks]
    mean = fmean([k for k in known if k] or [usual])
    return [k or mean for k in known]


def queue_finals(
    study: optuna.Study,
    space: CNNSpace,
    picks: Sequence[FrozenTrial],
    epochs: int,
    seeds: Sequence[int],
) -> int:
    """Queue picks that the study of finals does not hold yet, the largest first; count them.

    Args:
        study: The study of finals.
        space: That of the search.
        picks: Trials of the search.
        epochs: Epochs of each training.
        seeds: Each pick is trained once for each.
    """
    held = {t.user_attrs.get(PICK) for t in study.get_trials(deepcopy=False)}
    fresh = [trial for trial in picks if trial.number not in held]
    for trial in sorted(fresh, key=lambda t: -t.values[1]):
        for seed in seeds:
            study.enqueue_trial(
                space.encode(network_of(trial)),
                user_attrs={SEED: seed, EPOCHS: epochs, PICK: trial.number},
            )
    return len(fresh)


@dataclass(frozen=True)
class FinalSearch(Search):
    """The finals of a search, for its workers: the same data and space, the picks as trials.

    Args:
        tta: Test-time augmentation of every model, see :mod:`optuna_de.cnn.modules.tta`.
        distill: Whether a final learns from the best larger one that is trained.
    """

    tta: str = "none"
    distill: bool = False

    def __post_init__(self) -> None:
        """Everything was checked with the search."""

    @property
    def name(self) -> str:
        """The study's name: that of the search and ``-final``."""
        return f"{super().name}-final"

    def sampler(self) -> optuna.samplers.BaseSampler:  # type: ignore[override]
        """Return a sampler that is not asked: every final is queued."""
        return optuna.samplers.RandomSampler(seed=self.seed)

    def objective(self) -> FinalObjective:  # type: ignore[override]
        """Return the objective of finals."""
        device = pick_device(self.device)
        return FinalObjective(
            self.image_data.to(device),
            self.space,
            get_recipe("final"),
            device,
            (self.artifacts / "finals").absolute(),
            super().name,
            self.tta,
            self.distill,
        )

    def study(self, objective: FinalObjective) -> optuna.Study:  # type: ignore[override]
        """Open or create the study of finals."""
        study = optuna.create_study(
            storage=self.open(),
            study_name=self.name,
            sampler=self.sampler(),
            directions=["minimize"] * 2,
            load_if_exists=True,
        )
        check_setup(study, objective.setup(), redact(self.storage))
        return study


@dataclass(frozen=True)
class FinalObjective:
    """Trains the network of a final and returns its validation error and parameters.

    Args:
        data: Training and validation splits.
        space: The search's space.
        recipe: How to train; its augmentation is fitted to images and epochs.
        device: Where.
        folder: Gets a folder for each final: checkpoint and trained model.
        origin: Name of the search.
        tta: Test-time augmentation of the trained network.
        distill: Whether a final learns from the best larger one that is trained.
    """

    data: ImageData
    space: CNNSpace
    recipe: Recipe
    device: torch.device
    folder: Path
    origin: str
    tta: str = "none"
    distill: bool = False

    def __call__(self, trial: optuna.Trial) -> tuple[float, float]:
        """Train one final.

        Raises:
            optuna.TrialPruned: If the trial was not queued as a final, or its training failed.
            GiveBack: The worker was asked to stop; queue the trial again.
        """
        genome = self.space.suggest(trial)
        record_network(trial, genome, self.space)
        shape, classes = self.space.image_shape, self.space.classes
        size = float(count_parameters(genome, shape, classes))
        teacher = choose_teacher(trial, size, self.has_weights) if self.distill else None
        job, folder = self._job(trial, trial.study, teacher), self.folder_of(trial)
        folder.mkdir(parents=True, exist_ok=True)
        tell = epoch_teller(trial, "final, ", job.epochs)

        def after(epoch: Epoch) -> None:
            tell(epoch)
            self._end_if_behind(trial, epoch, job.epochs, size)

        try:
            weights = run_final_training(job, folder, after, _leave_if_asked)
        except TrainingFailedError as error:
            raise optuna.TrialPruned(str(error)) from error
        record_training(trial, weights.result)
        return weights.result.error, size

    def _end_if_behind(self, trial: optuna.Trial, epoch: Epoch, epochs: int, size: float) -> None:
        """Prune a final that others dominate after a third, or two, of its training.

        The rule is that of the ladder's rungs. Thirds are compared, as trainings of different
        lengths have different schedules.
        """
        thirds = {-(-epochs // 3): 1, -(-2 * epochs // 3): 2}
        third = thirds.get(epoch.number)
        error = epoch.validation_error
        if third is None or error is None or epochs < _FEWEST_TO_END:
            return
        doubt = MEASURES[self.data.metric].margin(
            error, self.data.scored_images, epoch.number / epochs
        )
        if HALVING.should_stop(trial, third, (error, size), (doubt, 0.0)):
            discard_checkpoint(self.folder_of(trial) / CHECKPOINT)
            record(trial, reason=f"others were ahead after {epoch.number} of {epochs} epochs")
            raise optuna.TrialPruned("Others dominate this final at equal parts of training.")

    def folder_of(self, trial: optuna.Trial) -> Path:
        """Return the folder of a final and of its retries."""
        file = checkpoint_file(trial, self.folder)
        assert file is not None  # there is a folder
        return file.with_suffix("")

    def weights_folder(self, trial: FrozenTrial) -> Path:
        """Return where a final that has ended left its weights."""
        return self.folder / str(trial.system_attrs.get(CHECKPOINT_KEY))

    def has_weights(self, trial: FrozenTrial) -> bool:
        """Tell whether the weights of a final are on this machine."""
        return (self.weights_folder(trial) / CHECKPOINT).is_file()

    def model(self, study: optuna.Study, number: int) -> TrainedModel:
        """Return the trained network of a complete final.

        Raises:
            TrainingFailedError: If its weights are not on this machine.
        """
        trial = study.get_trials(deepcopy=False)[number]
        if not self.has_weights(trial):
            raise TrainingFailedError(
                f"The weights of its teacher, final {number}, are not in {self.folder}."
            )
        job = self.job(trial, study)
        weights = run_final_training(job, self.weights_folder(trial))  # returns at once
        module = job.network()
        module.load_state_dict(weights.last)
        classes = tuple(self.data.classes)
        known = (self.data.image_shape, classes, weights.mean, weights.std)
        return TrainedModel(job.genome, module.eval(), *known)

    def job(self, trial: FrozenTrial, study: optuna.Study) -> TrainingJob:
        """Describe the training that a final of a study had.

        Raises:
            TrainingFailedError: If the weights of its teacher are not on this machine.
            optuna.TrialPruned: If the trial was not queued as one.
        """
        return self._job(trial, study, read_teacher(trial))

    def _job(
        self, trial: optuna.Trial | FrozenTrial, study: optuna.Study, teacher: int | None
    ) -> TrainingJob:
        seed, epochs, pick = (
            read_count(trial.user_attrs.get(key)) for key in (SEED, EPOCHS, PICK)
        )
        if seed is None or not epochs or pick is None:
            raise optuna.TrialPruned(f"Trial {trial.number} was not queued as a final.")
        return TrainingJob(
            genome=self.space.decode(trial.params),
            data=self.data,
            recipe=fit_recipe(self.recipe, self.data, epochs),
            epochs=epochs,
            batch_size=self.recipe.batch_size,
            seed=seed,
            device=self.device,
            keep_validation=True,
            last_epoch=True,
            origin=f"trial {pick} of study {self.origin}",
            tta=self.tta,
            teacher=None if teacher is None else self.model(study, teacher),
        )

    def setup(self) -> dict[str, object]:
        """Return what two finals must have in common to be comparable."""
        recipe, train, held = self.recipe, self.data.train.labels, self.data.validation.labels
        return {
            "data": self.data.name,
            "split seed": self.data.split_seed,
            "images": f"{len(train)} + {len(held)}",
            "data fingerprint": self.data.fingerprint,
            "image shape": list(self.data.image_shape),
            "classes": len(self.data.classes),
            "recipe": f"{recipe.name} version {recipe.version}",
            "objectives": f"{self.data.metric}, parameters",
            "class weights": "balanced" if self.data.weigh_classes else "none",
            "finals of": self.origin,
            "tta": self.tta,
            "distillation": "from the best larger final" if self.distill else "none",
        }


def best_of_bands(study: optuna.Study, region: Region) -> list[FrozenTrial]:
    """Return the finals to ship: of each band the network of least error, if no smaller has less.

    A network's error is the mean over its seeds; the seed of least error is shipped.

    Args:
        study: The study of finals.
        region: Its bands.
    """
    networks: dict[object, list[FrozenTrial]] = {}
    for trial in usable_trials(study):
        networks.setdefault(trial.user_attrs.get(PICK, trial.number), []).append(trial)
    means = [(fmean(t.values[0] for t in seeds), seeds) for seeds in networks.values()]
    best, least = [], math.inf
    for low, high in region.bands():
        last = high == region.max_parameters
        band = [(e, s) for e, s in means if low <= s[0].values[1] < high + last]
        error, seeds = min(band, key=lambda p: (p[0], p[1][0].values[1]), default=(math.inf, []))
        if error < least:
            best.append(min(seeds, key=lambda t: (t.values[0], t.number)))
            least = error
    return best


def _leave_if_asked() -> None:
    if stop_requested():
        raise GiveBack
