"""Trials of a study of networks: the Pareto front, one by number, and the files of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import optuna
from optuna.artifacts import FileSystemArtifactStore
from optuna.trial import FrozenTrial, TrialState

from optuna_de import _compat
from optuna_de._attributes import read_count
from optuna_de.cnn.architecture.genomes import Genome, parse
from optuna_de.cnn.architecture.prices import PARAMETERS
from optuna_de.cnn.architecture.region import read_region
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.study.artifacts import upload
from optuna_de.cnn.study.attributes import read_attributes
from optuna_de.cnn.study.setup import SETUP_KEY
from optuna_de.evolution.reference import reachable_reference

_ENDS = {
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "was stopped early",
    TrialState.RUNNING: "is running",
    TrialState.WAITING: "waits to be run",
}
_FIRST = 10  # trials of the first block of a search
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
CHECKPOINT_KEY = "optuna_de:v1:checkpoint"
"""System attribute of a trial and its retries: the name of their checkpoint."""


def store_files(
    trial: optuna.Trial,
    folder: Path | None,
    genome: Genome,
    space: CNNSpace,
    curve: Sequence[Sequence[float | None]] = (),
) -> None:
    """Store drawing, layer table and, if there is one, curve; nothing without a folder."""
    if folder is not None:
        store = FileSystemArtifactStore(str(folder))
        upload(trial, store, genome, space.image_shape, space.classes, curve)


def checkpoint_file(trial: optuna.Trial, folder: Path | None) -> Path | None:
    """Return the checkpoint of a trial and of all its retries; none without a folder.

    Its random name stands in the trial, and retries inherit it, so no study that shares the
    folder can touch it, whatever its name.
    """
    if folder is None:
        return None
    attributes = _compat.frozen(trial).system_attrs
    name = attributes.get(CHECKPOINT_KEY)
    if isinstance(name, str) and re.fullmatch("[0-9a-f]{32}", name):  # a foreign one is a path
        return folder / f"{name}.pt"
    if (old := _old_checkpoint(trial, attributes, folder)) is not None:
        return old
    name = uuid4().hex
    _compat.set_system_attr(trial.study, trial, CHECKPOINT_KEY, name)
    return folder / f"{name}.pt"


def _old_checkpoint(
    trial: optuna.Trial, attributes: Mapping[str, Any], folder: Path
) -> Path | None:
    """Return what version 0.1.0 left for a retry: it named files by study name and number."""
    history = attributes.get("retry_history")
    first = read_count(history[0]) if isinstance(history, list) and history else None
    study = crc32(trial.study.study_name.encode())
    old = None if first is None else folder / f"{study:08x}-{first}.pt"
    return old if old is not None and old.exists() else None


def complete_trial(study: optuna.Study, number: int) -> FrozenTrial:
    """Return a trial that has a network and its validation error.

    Raises:
        ValueError: If there is no such trial, or it did not complete, or its network cannot be
            read.
    """
    trials = {t.number: t for t in study.get_trials(deepcopy=False)}
    if number not in trials:
        known = f"its trials are 0 to {max(trials)}" if trials else "it has none yet"
        raise ValueError(f"Study {study.study_name!r} has no trial {number}; {known}.")
    trial = trials[number]
    if trial.state != TrialState.COMPLETE:
        reason = read_attributes(trial).text("reason")
        raise ValueError(
            f"Trial {number} of study {study.study_name!r} {_ENDS[trial.state]}"
            f"{f' ({reason})' if reason else ''}; choose a complete one."
        )
    network_of(trial)
    return trial


def network_of(trial: FrozenTrial) -> Genome:
    """Return the network of a trial.

    Raises:
        ValueError: If it records none, or one that cannot be read.
    """
    attributes = read_attributes(trial)
    if "architecture" in attributes.unreadable:
        raise ValueError(f"The architecture of trial {trial.number} is unreadable.")
    if "architecture" not in attributes.values:
        raise ValueError(f"Trial {trial.number} records no architecture.")
    try:
        return parse(attributes.values["architecture"])
    except ValueError as error:
        raise ValueError(
            f"The network of trial {trial.number} is not understood: {error}"
        ) from None


def pareto_front(study: optuna.Study) -> list[FrozenTrial]:
    """Return the feasible Pareto front, one trial per architecture, by error."""
    trials = sorted(study.best_trials, key=lambda t: (t.values, t.number))
    return list({_identity(t): t for t in reversed(trials)}.values())[::-1]


def useful_front(study: optuna.Study) -> list[FrozenTrial]:
    """Return the Pareto front within the region that the study records; whole if none is there.

    An error that the first networks do not reach is no bound, as in the sampler. Sizes are
    bounds where the parameters are an objective.
    """
    front = pareto_front(study)
    setup = study.user_attrs.get(SETUP_KEY)
    region = read_region(setup.get("region")) if isinstance(setup, Mapping) else None
    if region is None:
        return front
    ended = [t.values for t in ended_trials(study) if t.state == TrialState.COMPLETE]
    (worst,) = reachable_reference((region.max_error,), [(v[0],) for v in ended[:_FIRST]])
    names = study.metric_names or ["error", PARAMETERS.name]
    sizes = [i for i, name in enumerate(names) if name == PARAMETERS.name]
    inside = [
        t
        for t in front
        if t.values[0] <= worst and all(region.has_size(t.values[i]) for i in sizes)
    ]
    return inside or front


def _identity(trial: FrozenTrial) -> object:
    """Return the architecture, or the trial's number if that cannot be read."""
    return read_attributes(trial).values.get("architecture", trial.number)


def ended_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials in an end state, in the order of their completion."""
    trials = (t for t in study.get_trials(deepcopy=False) if t.state.is_finished())
    return sorted(trials, key=lambda t: (str(t.datetime_complete), t.number))


def spent_seconds(study: optuna.Study) -> float:
    """Return the compute of a study: the durations of its ended trials, in seconds."""
    spans = (t.duration for t in ended_trials(study))
    return sum(max(0.0, span.total_seconds()) for span in spans if span is not None)


def count_finished(study: optuna.Study) -> int:
    """Return how many trials count towards the total: complete and pruned ones."""
    return sum(t.state in FINISHED for t in ended_trials(study))
