"""What a study was begun with: recorded once, and another setup is refused with its name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import optuna

if TYPE_CHECKING:
    from optuna_de.cnn.search.objective import CNNObjective

_NEEDED = {"data", "split seed", "images", "data fingerprint"}
METRICS = ["error", "parameters"]
SETUP_KEY = "optuna_de:setup"


def setup_of(objective: CNNObjective) -> dict[str, Any]:
    """Return what makes two evaluations comparable; a study is refused another setup."""
    recipe = objective.recipe
    return {
        "data": objective.data.name,
        "split seed": objective.data.split_seed,
        "images": f"{len(objective.data.train.labels)} + {len(objective.data.validation.labels)}",
        "data fingerprint": objective.data.fingerprint,
        "image shape": list(objective.data.image_shape),
        "classes": len(objective.data.classes),
        "recipe": f"{recipe.name} version {recipe.version}",
        "epochs": objective.epochs or recipe.epochs,
        "batch size": objective.batch_size or recipe.batch_size,
        "training seed": objective.seed,
    }


def check_setup(study: optuna.Study, setup: dict[str, Any], storage: str) -> None:
    """Record the setup in a new study, or compare it with the recorded one.

    Args:
        study: A study.
        setup: What has to be the same, by name.
        storage: URL for the message, without password.

    Raises:
        ValueError: Where the study was begun with another setup, or not by a search.
    """
    name = f"Study {study.study_name!r} in {storage}"
    if list(study.directions) != [optuna.study.StudyDirection.MINIMIZE] * 2:
        raise ValueError(f"{name} does not minimise two objectives; choose another --study-name.")
    stored = study.user_attrs.get(SETUP_KEY)
    if stored is None and study.get_trials(deepcopy=False):
        raise ValueError(f"{name} was not begun by optuna-de; choose another --study-name.")
    if stored is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(METRICS)
        study.set_user_attr(SETUP_KEY, setup)
        return
    for key in setup:
        if stored.get(key) != setup[key]:
            raise ValueError(
                f"{name} was begun with {key} {stored.get(key)!r}, not {setup[key]!r}; "
                "repeat that, or choose another --study-name."
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
