"""Setup of a study: data, space, recipe, epochs. Recorded once; a different setup is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import optuna
from optuna.study import StudyDirection

from optuna_de import _compat
from optuna_de._attributes import LARGEST, read_text
from optuna_de._text import printable
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.study.objectives import describe_objectives
from optuna_de.search_space.distributions import Params
from optuna_de.storage.lock import locked
from optuna_de.storage.stale_trials import quietly_experimental

if TYPE_CHECKING:
    from optuna_de.cnn.search.objective import CNNObjective

_WIDEST = 10**6  # a side, channels, or classes
_READERS: Mapping[str, Callable[[object], bool]] = {
    "data": lambda value: bool(read_text(value)),
    "split seed": lambda value: type(value) is int and abs(value) <= LARGEST,
    "images": lambda value: re.fullmatch(r"\d{1,12} \+ \d{1,12}", str(value)) is not None,
    "data fingerprint": lambda value: bool(read_text(value)),
}
"""What a final training needs of a setup, and the test of each."""
SETUP_KEY = "optuna_de:setup"
SOURCE_KEY = "optuna_de:data source"
"""User attribute of a study: where its images were found and how they were read."""
_BEFORE = {
    "objectives": "error, parameters",
    "inheritance": "off",
    "class weights": "none",
    "stem": "none",
    "first networks": "version 1",
    "tta": "none",
    "distillation": "none",
}
"""What studies used that were stored before it was recorded."""
_LATER = ("region", "weights", "limits", "ladder")
"""What studies of version 0.1.0 do not record; they go on with any."""


def setup_of(objective: CNNObjective) -> dict[str, Any]:
    """Return what two evaluations must have in common to be comparable."""
    recipe = objective.recipe
    return {
        "data": objective.data.name,
        "split seed": objective.data.split_seed,
        "images": f"{len(objective.data.train.labels)} + {len(objective.data.validation.labels)}",
        "image shape": list(objective.data.image_shape),  # said before the fingerprint it changes
        "data fingerprint": objective.data.fingerprint,
        "classes": len(objective.data.classes),
        "recipe": f"{recipe.name} version {recipe.version}",
        "epochs": objective.epochs or recipe.epochs,
        "batch size": objective.batch_size or recipe.batch_size,
        "training seed": objective.seed,
        "objectives": ", ".join(
            describe_objectives(objective.space.priced, objective.data.metric)
        ),
        "class weights": recipe.class_weights,
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
    stored = study.user_attrs.get(SETUP_KEY)
    wanted = str(setup["objectives"]).split(", ")
    ours = isinstance(stored, Mapping)
    if not ours and list(study.directions) != [StudyDirection.MINIMIZE] * len(wanted):
        words = {2: "two", 3: "three"}.get(len(wanted), str(len(wanted)))
        raise ValueError(f"{name} must minimise {words} objectives; choose another --study-name.")
    if stored is None:
        stored = _record_once(study, setup)
    if not isinstance(stored, Mapping):
        raise ValueError(f"{name} was not begun by optuna-de; choose another --study-name.")
    for key in setup:
        recorded = stored.get(key, _BEFORE.get(key, setup[key] if key in _LATER else None))
        if recorded != setup[key]:
            raise ValueError(
                f"{name} uses {key} {recorded!r}, not {setup[key]!r}. Give the same value, "
                "or choose another --study-name."
            )


def _record_once(study: optuna.Study, setup: Mapping[str, Any]) -> object:
    """Record a setup where there is none, and return the recorded one; None if others own it."""
    while True:  # again where another process took this one for dead
        with locked(_compat.study_key(study)[0], study.study_name) as still_held:
            stored = study.user_attrs.get(SETUP_KEY)
            if stored is not None or study.get_trials(deepcopy=False):
                return stored
            if still_held():
                with quietly_experimental():
                    study.set_metric_names(str(setup["objectives"]).split(", "))
                study.set_user_attr(SETUP_KEY, dict(setup))
                return setup


def record_source(study: optuna.Study, source: Mapping[str, Any]) -> None:
    """Record where a study's images were found first; machines may have other paths."""
    if SOURCE_KEY not in study.user_attrs:
        study.set_user_attr(SOURCE_KEY, dict(source))


def recorded_source(study: optuna.Study) -> dict[str, str | float]:
    """Return what :func:`record_source` recorded: texts, numbers, truth values; else empty."""
    source = study.user_attrs.get(SOURCE_KEY)
    items = source.items() if isinstance(source, Mapping) else ()
    return {str(name): value for name, value in items if type(value) in (str, float, int, bool)}


def enqueue_once(
    study: optuna.Study,
    networks: Sequence[Params],
    attributes: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Queue the parameters of networks that no trial has yet, each once over all processes.

    Args:
        study: A study.
        networks: Parameters of each.
        attributes: User attributes of the trials that are queued.
    """
    while _missing(study, networks):
        with locked(_compat.study_key(study)[0], study.study_name) as still_held:
            for params in _missing(study, networks):
                if not still_held():
                    break
                study.enqueue_trial(dict(params), user_attrs=dict(attributes))


def _missing(study: optuna.Study, networks: Sequence[Params]) -> list[Params]:
    trials = study.get_trials(deepcopy=False)
    known = [trial.system_attrs.get("fixed_params", trial.params) for trial in trials]
    return [
        params
        for i, params in enumerate(networks)
        if params not in known and params not in networks[:i]
    ]


def recorded_setup(study: optuna.Study) -> Mapping[str, Any]:
    """Return what a search recorded in a study: data, split and images, each of its type.

    Raises:
        ValueError: If the study is not one of ``optuna-de search``, or the record is unreadable.
    """
    setup = study.user_attrs.get(SETUP_KEY)
    if not isinstance(setup, Mapping) or not setup.keys() >= _READERS.keys():
        raise ValueError(
            f"Study {study.study_name!r} was not begun by optuna-de search, so its data are "
            "unknown; give --architecture and --data instead of the study."
        )
    wrong = [name for name, fits in _READERS.items() if not fits(setup[name])]
    if wrong:
        raise ValueError(
            f"Study {study.study_name!r} records {wrong[0]!r} as {str(setup[wrong[0]])[:80]!r}, "
            "which is unreadable; give --architecture and --data instead of the study."
        )
    return setup


def setup_text(study: optuna.Study) -> dict[str, str]:
    """Return what a study records of its setup, in words; empty if that is no setup."""
    setup = study.user_attrs.get(SETUP_KEY)
    items = setup.items() if isinstance(setup, Mapping) else ()
    return {
        printable(str(name)): "none" if value is None else printable(str(value))
        for name, value in items
    }


def recorded_task(study: optuna.Study) -> tuple[ImageShape, int] | None:
    """Return image shape and classes that a study records; None if it does not."""
    setup = study.user_attrs.get(SETUP_KEY)
    recorded = setup if isinstance(setup, Mapping) else {}
    shape, classes = recorded.get("image shape"), recorded.get("classes")
    sizes = [*shape, classes] if isinstance(shape, list | tuple) else []
    if len(sizes) != 4 or not all(isinstance(n, int) and 0 < n <= _WIDEST for n in sizes):
        return None
    return (sizes[0], sizes[1], sizes[2]), sizes[3]
