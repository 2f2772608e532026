"""One search of :mod:`benchmarks.screening.real_training`: images, caps, sampler, trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import torch
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from benchmarks.common.caps import Caps
from benchmarks.common.peers import quiet
from benchmarks.common.results import Row
from benchmarks.halving.replay import hypervolume
from optuna_de import DESampler, open_storage
from optuna_de._allocator import keep_memory
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.loading import load_data
from optuna_de.cnn.recipes import fit_recipe, get_recipe
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.halving import Halving
from optuna_de.screening.screening import Screening

STARTUP = 10


@dataclass(frozen=True)
class Task:
    """Images, how long to train, and the ranges of error and parameters that are scaled."""

    epochs: int
    caps: Caps
    lowest: float  # error; about one of the validation images for digits
    least: int  # parameters
    held: float
    images: int | None = None

    def data(self, folder: Path | None, seed: int) -> ImageData:
        """Return digits or the folder's images, split by the seed."""
        return load_data(
            folder or "digits",
            validation_fraction=self.held,
            split_seed=seed,
            subset=self.images,
        )

    def volumes(self, trials: Sequence[FrozenTrial]) -> list[float]:
        """Return the hypervolume in [0, 1] after each network that was trained, or stopped."""
        least = np.array([self.lowest, self.least])
        low, high = np.log10(least), np.log10([0.9, self.caps.parameters])
        volumes, losses = [], np.zeros((0, 2))
        for trial in trials:
            if trial.state == TrialState.COMPLETE:
                values = np.log10(np.maximum(np.array(trial.values, dtype=float), least))
                losses = np.vstack([losses, (values - low) / (high - low)])
            volumes.append(
                round(float(hypervolume(losses, np.ones(2))), 5) if len(losses) else 0.0
            )
        return volumes


DIGITS = Task(6, Caps(100_000, 1_000_000), 0.002, 100, 0.3)
CIFAR10 = Task(3, Caps(300_000, 4_000_000), 0.2, 100, 1 / 3, 2_400)


@dataclass(frozen=True)
class Job:
    """One search: what, by which arm, with which seed, and how many trainings."""

    task: Task
    arm: str
    seed: int
    budget: int
    folder: Path | None
    studies: Path

    def study(self) -> optuna.Study:
        """Open or create the study."""
        name = f"{'cifar10' if self.folder else 'digits'}-{self.arm}-{self.seed}"
        return optuna.create_study(
            directions=["minimize"] * 2,
            storage=open_storage(f"sqlite:///{self.studies}/{name}.db"),
            study_name=name,
            load_if_exists=True,
        )


def sampler(job: Job, space: CNNSpace, done: int = 0) -> BaseSampler:
    """Return an arm's sampler; Optuna's draw anew where a study goes on after ``done`` trials."""
    match job.arm:
        case "nsga2":
            return NSGAIISampler(population_size=20, seed=job.seed + 1000 * done)
        case "tpe":
            return TPESampler(seed=job.seed + 1000 * done)
        case "random":
            return RandomSampler(seed=job.seed + 1000 * done)
    return DESampler(
        space=job.task.caps.limit(space),
        screening="screened" in job.arm and Screening(stopped="blind" not in job.arm),
        seed=job.seed,
    )


def run(job: Job) -> Row:
    """Search until ``budget`` networks were trained, or as many epochs spent."""
    quiet()
    keep_memory()
    torch.set_num_threads(1)
    data = job.task.data(job.folder, job.seed)
    space = CNNSpace(data.image_shape, len(data.classes))
    study = job.study()
    study.sampler = sampler(job, space, len(study.trials))
    for params in job.task.caps.first(space, job.seed, STARTUP)[len(study.trials) :]:
        study.enqueue_trial(params)
    evaluate = CNNObjective(
        data,
        job.task.caps.limit(space),
        fit_recipe(get_recipe("fast"), data),
        epochs=job.task.epochs,
        seed=job.seed,
        halving=Halving.within(job.task.epochs) if "halved" in job.arm else None,
    )
    while sum(map(epochs, study.get_trials(deepcopy=False))) < job.budget * job.task.epochs:
        study.optimize(evaluate, n_trials=1)
    trained = [t for t in study.trials if epochs(t)]
    volume = job.task.volumes(trained)
    costs = [round(epochs(t) / job.task.epochs, 4) for t in trained]
    print(job.arm, job.seed, volume[-1], flush=True)
    return {"arm": job.arm, "seed": job.seed, "volume": volume, "costs": costs}


def epochs(trial: FrozenTrial) -> int:
    """Return the epochs that a trial's network was trained for, 0 where it was over a cap."""
    return int(trial.user_attrs.get("epochs", 0))
