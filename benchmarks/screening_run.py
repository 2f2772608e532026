"""One search of :mod:`benchmarks.screening`: its images, caps, sampler and trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import torch
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from benchmarks.caps import Caps
from benchmarks.common import Row
from benchmarks.halving_replay import hypervolume
from benchmarks.peers import quiet
from optuna_de import DESampler, open_storage
from optuna_de._allocator import keep_memory
from optuna_de.cnn.data import ImageData, load_data
from optuna_de.cnn.objective import CNNObjective
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.search import fit_recipe
from optuna_de.cnn.space import CNNSpace
from optuna_de.halving import Halving
from optuna_de.screening import Screening

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
        """Return the hypervolume in [0, 1] after each network that was trained to the end."""
        done = [t.values for t in trials if t.state == TrialState.COMPLETE]
        low, high = np.log10([[self.lowest, self.least], [0.9, self.caps.parameters]])
        errors = np.maximum(np.array(done, dtype=float), self.lowest)
        losses = (np.log10(errors) - low) / (high - low)
        return [
            round(float(hypervolume(losses[: n + 1], np.ones(2))), 5) for n in range(len(done))
        ]


DIGITS = Task(6, Caps(100_000, 1_000_000), 0.002, 100, 0.3)
CIFAR10 = Task(3, Caps(300_000, 4_000_000), 0.2, 1_000, 1 / 3, 2_400)


@dataclass(frozen=True)
class Job:
    """One search: what, by which arm, with which seed, and how many trainings."""

    task: Task
    arm: str
    seed: int
    budget: int
    folder: Path | None
    studies: Path

    def study(self, sampler: BaseSampler) -> optuna.Study:
        """Open or create the study."""
        name = f"{'cifar10' if self.folder else 'digits'}-{self.arm}-{self.seed}"
        return optuna.create_study(
            directions=["minimize"] * 2,
            sampler=sampler,
            storage=open_storage(f"sqlite:///{self.studies}/{name}.db"),
            study_name=name,
            load_if_exists=True,
        )


def sampler(job: Job, space: CNNSpace) -> BaseSampler:
    """Return an arm's sampler."""
    match job.arm:
        case "nsga2":
            return NSGAIISampler(population_size=20, seed=job.seed)
        case "tpe":
            return TPESampler(seed=job.seed)
        case "random":
            return RandomSampler(seed=job.seed)
    return DESampler(
        initial=space.initial,
        repair=space.repair,
        accept=partial(job.task.caps.accepts, space),
        known={1: space.count_parameters},
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
    study = job.study(sampler(job, space))
    if not study.trials:
        for params in job.task.caps.first(space, job.seed, STARTUP):
            study.enqueue_trial(params)
    evaluate = CNNObjective(
        data,
        space,
        fit_recipe(get_recipe("fast"), data),
        epochs=job.task.epochs,
        seed=job.seed,
        max_parameters=job.task.caps.parameters,
        max_macs=job.task.caps.macs,
        halving=Halving.within(job.task.epochs) if "halved" in job.arm else None,
    )
    while sum(costs(job, study)) < job.budget:
        study.optimize(evaluate, n_trials=1)
    volume = job.task.volumes(study.trials)
    print(job.arm, job.seed, volume[-1], flush=True)
    return {"arm": job.arm, "seed": job.seed, "volume": volume, "costs": costs(job, study)}


def costs(job: Job, study: optuna.Study) -> list[float]:
    """Return the share of a whole training that each network took."""
    epochs = [int(t.user_attrs.get("epochs", 0)) for t in study.get_trials(deepcopy=False)]
    return [n / job.task.epochs for n in epochs if n]
