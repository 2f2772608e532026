"""What a final training starts from: a trial's network, and the data its study was begun with.

A study records names and a fingerprint of its data, not their place. What it lacks has to be
given, and the fingerprint says whether that was the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import optuna

from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.data.sources import NAMES
from optuna_de.cnn.study.setup import recorded_setup


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
