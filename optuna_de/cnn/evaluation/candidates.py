"""Candidates for final training: networks of a study, a text or the zoo, with their data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna

from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.genomes import Genome, render, repair
from optuna_de.cnn.architecture.prices import PARAMETERS
from optuna_de.cnn.architecture.zoo import ZOO, get_architecture
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.evaluation.study_data import load_study_data
from optuna_de.cnn.evaluation.training_job import TrainingJob
from optuna_de.cnn.export.model_folder import TrainedModel
from optuna_de.cnn.recipes import fit_recipe, get_recipe
from optuna_de.cnn.study.objectives import ERROR
from optuna_de.cnn.study.setup import recorded_setup
from optuna_de.cnn.study.trials import (
    complete_trial,
    network_of,
    pareto_front,
    useful_front,
)
from optuna_de.cnn.training.device import pick_device


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network and its source.

    Args:
        name: Short: "model1", "trial 7 of study x", or the text form.
        genome: Its units.
        error: Validation error that the search measured, or None without a search.
        objectives: Values of the search by metric name, units included; empty without one.
    """

    name: str
    genome: Genome
    error: float | None = None
    objectives: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """Data to train on, and the study that they belong to, if any.

    Args:
        study: The study, or None.
        choice: Source of the data; it loads the test split at the end.
        data: Training and validation splits.
    """

    study: optuna.Study | None
    choice: DataChoice
    data: ImageData

    def from_trial(self, number: int) -> Candidate:
        """Return the network of a complete trial.

        Raises:
            ValueError: If there is none.
        """
        if self.study is None:
            raise ValueError(f"Trial {number} needs a study.")
        trial = complete_trial(self.study, number)
        name = f"trial {number} of study {self.study.study_name}"
        names = self.study.metric_names or [ERROR.name, PARAMETERS.name]
        values = dict(zip(names, trial.values, strict=True))
        return Candidate(name, network_of(trial), trial.values[0], values)

    def from_front(self, count: int) -> list[Candidate]:
        """Return the networks of the front with the lowest validation error, best first.

        Raises:
            ValueError: If the front has fewer.
        """
        if self.study is None:
            raise ValueError("Picks need a study.")
        trials = useful_front(self.study)
        if count > len(trials):
            raise ValueError(
                f"picks is {count}, but study {self.study.study_name!r} has "
                f"{len(trials)} on its front where it looks."
            )
        return [self.from_trial(trial.number) for trial in trials[:count]]

    def best(self, max_parameters: float) -> tuple[Candidate, int]:
        """Return the network of the front with the least error up to a size, and its size.

        Raises:
            ValueError: If there is none.
        """
        if self.study is None:
            raise ValueError("The best network needs a study.")
        for trial in pareto_front(self.study):
            network = self.from_trial(trial.number)
            size = count_parameters(network.genome, self.data.image_shape, len(self.data.classes))
            if size <= max_parameters:
                return network, size
        raise ValueError(
            f"Study {self.study.study_name!r} has no network of at most {max_parameters:,} "
            "parameters on its front."
        )

    def from_text(self, text: str) -> Candidate:
        """Return a network from its text form or its name in the zoo.

        Pools of a zoo network that would shrink the image below 2 pixels are dropped, and its
        name says so.

        Raises:
            ValueError: If the text is neither.
        """
        genome, name = get_architecture(text), text.strip().lower()
        if name not in ZOO:
            return Candidate(render(genome), genome)
        fitted = repair(genome, self.data.image_shape)
        side = "x".join(map(str, self.data.image_shape[1:]))
        return Candidate(name if fitted == genome else f"{name} cut for {side}", fitted)

    def job(
        self,
        network: Candidate,
        *,
        recipe: str | None,
        epochs: int | None,
        batch_size: int | None,
        seed: int,
        device: str,
        keep_validation: bool = False,
        tta: str = "none",
        teacher: TrainedModel | None = None,
        quantize_aware: bool = False,
    ) -> TrainingJob:
        """Describe the training of a network.

        Args:
            network: What to train.
            recipe: Its name; None is "seed-final" after a search by one of the seed's, else
                "final". Its augmentation is fitted to the images and the epochs.
            epochs: None takes the recipe's.
            batch_size: None takes the recipe's.
            seed: Of weights, order and augmentation.
            device: As :func:`optuna_de.cnn.training.device.pick_device` names it.
            keep_validation: Whether the validation split chooses an epoch.
            tta: Test-time augmentation of the trained network.
            teacher: Trained model from which it learns, too.
            quantize_aware: Whether it ends with weights and activations rounded to int8.

        Raises:
            ValueError: If a name or number is out of range, or the network does not fit.
        """
        chosen = fit_recipe(get_recipe(recipe or self._recipe()), self.data, epochs)
        return TrainingJob(
            genome=network.genome,
            data=self.data,
            recipe=chosen,
            epochs=chosen.epochs if epochs is None else epochs,
            batch_size=chosen.batch_size if batch_size is None else batch_size,
            seed=seed,
            device=pick_device(device),
            keep_validation=keep_validation,
            origin=network.name,
            objectives=network.objectives,
            tta=tta,
            teacher=teacher,
            quantize_aware=quantize_aware,
        )

    def _recipe(self) -> str:
        setup: Mapping[str, Any] = {} if self.study is None else recorded_setup(self.study)
        return "seed-final" if str(setup.get("recipe", "")).startswith("seed") else "final"


def load_candidates(study: optuna.Study | None, choice: DataChoice) -> Candidates:
    """Load the training and validation splits; with a study, check that they are the study's data.

    Args:
        study: A study of ``optuna-de search``, or None.
        choice: What the user chose.

    Raises:
        ValueError: If the data are missing, damaged, or not those of the study.
    """
    if study is not None:
        return Candidates(study, *load_study_data(study, choice))
    return Candidates(None, choice, choice.load())
