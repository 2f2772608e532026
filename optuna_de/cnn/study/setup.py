"""Setup of a study: data, space, recipe, epochs. Recorded once; a different setup is refused."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import optuna

from optuna_de._attributes import LARGEST, read_text
from optuna_de._text import printable
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.study.objectives import OBJECTIVES

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
            study.set_metric_names([o.name for o in OBJECTIVES])
        study.set_user_attr(SETUP_KEY, setup)
        return
    if not isinstance(stored, Mapping):
        raise ValueError(f"{name} was not begun by optuna-de; choose another --study-name.")
    for key in setup:
        if stored.get(key) != setup[key]:
            raise ValueError(
                f"{name} was begun with {key} {stored.get(key)!r}, not {setup[key]!r}; "
                "repeat that, or choose another --study-name."
            )


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
    return {printable(str(name)): printable(str(value)) for name, value in items}


def recorded_task(study: optuna.Study) -> tuple[ImageShape, int] | None:
    """Return image shape and classes that a study records; None if it does not."""
    setup = study.user_attrs.get(SETUP_KEY)
    recorded = setup if isinstance(setup, Mapping) else {}
    shape, classes = recorded.get("image shape"), recorded.get("classes")
    sizes = [*shape, classes] if isinstance(shape, list | tuple) else []
    if len(sizes) != 4 or not all(isinstance(n, int) and 0 < n <= _WIDEST for n in sizes):
        return None
    return (sizes[0], sizes[1], sizes[2]), sizes[3]
