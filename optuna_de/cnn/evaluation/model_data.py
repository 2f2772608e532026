"""Data of a trained model, found again from its result folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.data.sources import NAMES
from optuna_de.cnn.evaluation.results import read_result


def load_model_data(folder: Path, choice: DataChoice) -> tuple[DataChoice, ImageData] | None:
    """Load the data that a model was trained on; None if its folder and the user name none.

    Args:
        folder: Folder of a trained model.
        choice: What the user chose; the result gives the data set, the seed of the splits and the
            share of validation images.

    Returns:
        The whole choice, which loads the test split too, and the training and validation splits.

    Raises:
        ValueError: If the data are not those of the training, or do not fit the network.
    """
    setup = (read_result(folder) or {}).get("setup")
    if setup is None:
        return None if choice.data is None else (choice, choice.load())
    name = setup["data"]
    if choice.data is None and name not in NAMES:
        return None
    train, validation = setup["train images"], setup["validation images"]
    whole = replace(
        choice,
        data=name if choice.data is None else choice.data,
        split_seed=setup["split seed"],
        validation_fraction=validation / (train + validation),
        image_size=choice.image_size or _side(setup, choice),
    )
    data = whole.load()
    if len(data.train.labels) + len(data.validation.labels) > train + validation:
        whole = replace(whole, subset=train + validation)
        data = whole.load()
    if data.fingerprint != setup["data fingerprint"]:
        raise ValueError(
            f"The images in {whole.source!r} are not those that {folder} was trained on "
            f"(fingerprint {data.fingerprint} instead of {setup['data fingerprint']}); give them "
            "with --data."
        )
    return whole, data


def _side(setup: dict[str, Any], choice: DataChoice) -> int | None:
    """Return the side to bring a folder's images to; a data set with a name has its own."""
    sides = setup["image shape"][1:]
    return sides[0] if choice.data not in (None, *NAMES) and sides[0] == sides[1] else None
