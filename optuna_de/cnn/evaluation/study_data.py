"""Data of a study, found again for a final training.

A study records the name and the fingerprint of its data, and where they were found. On another
machine the user names the folder; the fingerprint shows that it holds the same images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import optuna

from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.data.reading.resizing import size_text
from optuna_de.cnn.data.sources import NAMES
from optuna_de.cnn.study.setup import recorded_setup, recorded_source


def load_study_data(study: optuna.Study, choice: DataChoice) -> tuple[DataChoice, ImageData]:
    """Load the data of a study, all of its images unless ``choice`` has a subset.

    Args:
        study: One of ``optuna-de search``.
        choice: What the user chose; the study gives the data set, the seed of the splits and the
            share of validation images where the user did not.

    Returns:
        The whole choice, which loads the test split too, and its training and validation splits.

    Raises:
        ValueError: If the data are not those of the study.
    """
    setup = recorded_setup(study)
    name, seed = str(setup["data"]), int(setup["split seed"])
    choice = choice.with_recorded(recorded_source(study))
    if choice.data is None and name not in NAMES:
        raise ValueError(
            f"Study {study.study_name!r} was run on {name!r}. Give the folder of these images "
            "with --data."
        )
    if choice.split_seed not in (None, seed):
        raise ValueError(
            f"split_seed must be {seed}, as in study {study.study_name!r}, but is "
            f"{choice.split_seed}."
        )
    train, validation = (int(n) for n in str(setup["images"]).split("+"))
    total = train + validation
    whole = replace(
        choice,
        data=name if choice.data is None else choice.data,
        split_seed=seed,
        validation_fraction=validation / total,
    )
    every = replace(whole, subset=None).load()
    _check_shape(study, setup, every)
    images = len(every.train.labels) + len(every.validation.labels)
    seen = every if images <= total else replace(whole, subset=total).load()
    if seen.fingerprint != setup["data fingerprint"]:
        raise ValueError(
            f"The images in {name!r} differ from those of study {study.study_name!r} (fingerprint "
            f"{seen.fingerprint} instead of {setup['data fingerprint']}). Give the same images "
            "with --data and --image-size."
        )
    return whole, every if whole.subset is None else whole.load()


def _check_shape(study: optuna.Study, setup: Mapping[str, Any], data: ImageData) -> None:
    shape, recorded = list(data.image_shape), setup.get("image shape")
    if isinstance(recorded, list | tuple) and list(recorded[1:]) != shape[1:]:
        raise ValueError(
            f"Study {study.study_name!r} was run on images of {size_text(recorded[1:])} pixels, "
            f"but those of {data.name!r} have {size_text(shape[1:])}; give --image-size "
            f"{size_text(recorded[1:])}."
        )
    for key, here in (("image shape", shape), ("classes", len(data.classes))):
        if setup.get(key, here) != here:
            hint = " (see --image-size)" if key == "image shape" else ""
            raise ValueError(
                f"Study {study.study_name!r} was run with {key} {setup[key]}, but the data "
                f"{data.name!r} have {here}{hint}."
            )
