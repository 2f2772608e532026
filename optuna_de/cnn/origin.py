"""What a final training starts from: a trial's network, and the data its study was begun with.

A study records names and a fingerprint of its data, not their place. What it lacks has to be
given, and the fingerprint says whether that was the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from optuna_de.cnn.claim import SETUP_KEY
from optuna_de.cnn.data import NAMES, ImageData, Split, load_data, load_test
from optuna_de.cnn.units import Genome, parse

_NEEDED = {"data", "split seed", "images", "data fingerprint"}
_ENDS = {
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "was stopped early",
    TrialState.RUNNING: "is running",
    TrialState.WAITING: "waits to be run",
}


@dataclass(frozen=True, slots=True)
class DataChoice:
    """The arguments of :func:`optuna_de.cnn.data.load_data`, kept to load the test split later."""

    source: str | Path
    data_dir: Path | None = None
    download: bool = False
    image_size: int | None = None
    subset: int | None = None
    validation_fraction: float = 0.1
    split_seed: int = 0

    def load(self) -> ImageData:
        """Return the training and validation splits."""
        return load_data(
            self.source,
            data_dir=self.data_dir,
            download=self.download,
            validation_fraction=self.validation_fraction,
            split_seed=self.split_seed,
            subset=self.subset,
            image_size=self.image_size,
        )

    def load_test(self) -> Split:
        """Return the test split."""
        return load_test(
            self.source,
            data_dir=self.data_dir,
            download=self.download,
            split_seed=self.split_seed,
            image_size=self.image_size,
        )


def recorded_setup(study: optuna.Study) -> Mapping[str, Any]:
    """Return what a search recorded in a study.

    Raises:
        ValueError: Where the study is not one of ``optuna-de search``.
    """
    setup = study.user_attrs.get(SETUP_KEY)
    if not isinstance(setup, Mapping) or not setup.keys() >= _NEEDED:
        raise ValueError(
            f"Study {study.study_name!r} was not begun by optuna-de search, so its data are "
            "unknown; give --architecture and --data instead of the study."
        )
    return setup


def same_data(
    study: optuna.Study, choice: DataChoice, *, named: bool, split_seed: int | None
) -> tuple[DataChoice, ImageData]:
    """Return the data of a study, all of its images unless ``choice`` has a subset.

    Args:
        study: One of ``optuna-de search``.
        choice: What the user chose; its seed and fraction are replaced by the study's.
        named: Whether the user named the data; else the study's name for them is taken.
        split_seed: The seed that the user gave, if any.

    Raises:
        ValueError: Where the data are not those of the study.
    """
    setup = recorded_setup(study)
    name, seed = str(setup["data"]), int(setup["split seed"])
    if not named and name not in NAMES:
        raise ValueError(
            f"Study {study.study_name!r} records the name of its data, {name!r}, but not the "
            "folder; give it by --data."
        )
    if split_seed not in (None, seed):
        raise ValueError(
            f"split_seed is {split_seed}, but study {study.study_name!r} split its data by {seed}."
        )
    train, validation = (int(n) for n in str(setup["images"]).split("+"))
    total = train + validation
    whole = replace(
        choice,
        source=choice.source if named else name,
        split_seed=seed,
        validation_fraction=validation / total,
    )
    every = replace(whole, subset=None).load()
    _compare(study, setup, every)
    images = len(every.train.labels) + len(every.validation.labels)
    seen = every if images <= total else replace(whole, subset=total).load()
    if seen.fingerprint != setup["data fingerprint"]:
        raise ValueError(
            f"The data {name!r} here have the fingerprint {seen.fingerprint}, but study "
            f"{study.study_name!r} was begun with {setup['data fingerprint']}; give the same "
            "images by --data and --image-size."
        )
    return whole, every if whole.subset is None else whole.load()


def _compare(study: optuna.Study, setup: Mapping[str, Any], data: ImageData) -> None:
    for key, here in (("image shape", list(data.image_shape)), ("classes", len(data.classes))):
        if setup.get(key, here) != here:
            hint = " (see --image-size)" if key == "image shape" else ""
            raise ValueError(
                f"Study {study.study_name!r} was begun with {key} {setup[key]}, but the data "
                f"{data.name!r} have {here}{hint}."
            )


def complete_trial(study: optuna.Study, number: int) -> FrozenTrial:
    """Return a trial that has a network and its validation error.

    Raises:
        ValueError: Where there is no such trial, or it did not complete.
    """
    trials = {t.number: t for t in study.get_trials(deepcopy=False)}
    if number not in trials:
        told = f"its trials are 0 to {max(trials)}" if trials else "it has none yet"
        raise ValueError(f"Study {study.study_name!r} has no trial {number}; {told}.")
    trial = trials[number]
    if trial.state != TrialState.COMPLETE:
        reason = trial.user_attrs.get("reason")
        raise ValueError(
            f"Trial {number} of study {study.study_name!r} {_ENDS[trial.state]}"
            f"{f' ({reason})' if reason else ''}; choose a complete one."
        )
    network_of(trial)
    return trial


def network_of(trial: FrozenTrial) -> Genome:
    """Return the network of a trial.

    Raises:
        ValueError: Where it records none.
    """
    text = trial.user_attrs.get("architecture")
    if not isinstance(text, str):
        raise ValueError(f"Trial {trial.number} records no architecture.")
    return parse(text)
