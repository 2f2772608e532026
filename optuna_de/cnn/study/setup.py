"""Setup of a study: data, space, recipe and epochs. It is recorded once; others are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna

from optuna_de import _compat
from optuna_de.search_space.distributions import Params
from optuna_de.storage.lock import locked
from optuna_de.storage.stale_trials import quietly_experimental

if TYPE_CHECKING:
    from optuna_de.cnn.search.objective import CNNObjective

_NEEDED = {"data", "split seed", "images", "data fingerprint"}
METRICS = ["error", "parameters"]
SETUP_KEY = "optuna_de:setup"


def setup_of(objective: CNNObjective) -> dict[str, Any]:
    """Return what two evaluations must have in common to be comparable."""
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


def check_setup(study: optuna.Study, setup: Mapping[str, Any], storage: str) -> None:
    """Record the setup in a new study, or compare it with the recorded one.

    Of several processes that start together one records its setup; the others compare.

    Args:
        study: A study.
        setup: Values that have to be the same, by name.
        storage: URL for the message, without password.

    Raises:
        ValueError: If the study has another setup, or is not one of a search.
    """
    name = f"Study {study.study_name!r} in {storage}"
    if list(study.directions) != [optuna.study.StudyDirection.MINIMIZE] * 2:
        raise ValueError(f"{name} must minimise two objectives; choose another --study-name.")
    stored = study.user_attrs.get(SETUP_KEY)
    if stored is None:
        stored = _record_once(study, setup)
    if not isinstance(stored, Mapping):
        raise ValueError(f"{name} was not begun by optuna-de; choose another --study-name.")
    for key in setup:
        if stored.get(key) != setup[key]:
            raise ValueError(
                f"{name} uses {key} {stored.get(key)!r}, not {setup[key]!r}. Give the same value, "
                "or choose another --study-name."
            )


def _record_once(study: optuna.Study, setup: Mapping[str, Any]) -> object:
    """Record a setup where there is none, and return the recorded one; None if others own it."""
    with locked(_compat.study_key(study)[0], study.study_name):
        stored = study.user_attrs.get(SETUP_KEY)
        if stored is not None or study.get_trials(deepcopy=False):
            return stored
        with quietly_experimental():
            study.set_metric_names(METRICS)
        study.set_user_attr(SETUP_KEY, dict(setup))
        return setup


def enqueue_once(study: optuna.Study, networks: Sequence[Params]) -> None:
    """Queue the parameters of networks that no trial has yet, each once over all processes."""
    if _missing(study, networks):
        with locked(_compat.study_key(study)[0], study.study_name):
            for params in _missing(study, networks):
                study.enqueue_trial(dict(params))


def _missing(study: optuna.Study, networks: Sequence[Params]) -> list[Params]:
    trials = study.get_trials(deepcopy=False)
    known = [trial.system_attrs.get("fixed_params", trial.params) for trial in trials]
    return [
        params
        for i, params in enumerate(networks)
        if params not in known and params not in networks[:i]
    ]


def recorded_setup(study: optuna.Study) -> Mapping[str, Any]:
    """Return the setup that a search recorded in a study.

    Raises:
        ValueError: If the study is not one of ``optuna-de search``.
    """
    setup = study.user_attrs.get(SETUP_KEY)
    if not isinstance(setup, Mapping) or not setup.keys() >= _NEEDED:
        raise ValueError(
            f"Study {study.study_name!r} was not begun by optuna-de search, so its data are "
            "unknown; give --architecture and --data instead of the study."
        )
    return setup
