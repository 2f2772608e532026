"""What a trial of a network leaves: attributes that become columns, and files. No torch.

Attributes and files can be written only while the trial runs. A trial's ``feasible`` is False from
the moment a constraint is known to be violated; optuna-dashboard 0.21 shows no constraints.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4
from zlib import crc32

import optuna
from optuna.artifacts import FileSystemArtifactStore
from optuna.trial import FrozenTrial, TrialState

from optuna_de import _compat
from optuna_de._machine import machine
from optuna_de.cnn.architecture.cost import count_macs
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.architecture.units import Genome, parse, render
from optuna_de.cnn.study.artifacts import upload
from optuna_de.sampler.plan import PLAN_KEY

if TYPE_CHECKING:
    from optuna_de.cnn.training.trainer import TrainingResult

_ENDS = {
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "was stopped early",
    TrialState.RUNNING: "is running",
    TrialState.WAITING: "waits to be run",
}
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
CHECKPOINT_KEY = "optuna_de:v1:checkpoint"
"""System attribute of a trial and its retries: the name of their checkpoint."""
Curve: TypeAlias = "list[list[float | None]]"


def record_network(
    trial: optuna.Trial, genome: Genome, space: CNNSpace, accelerator: str = ""
) -> None:
    """Write what is known before a training.

    ``architecture`` (text), ``macs``, ``machine`` (text) and ``generation``, where the sampler
    planned one.

    Args:
        trial: A running trial.
        genome: Its network.
        space: Where the network is from.
        accelerator: Name of the accelerator that trains, empty for the processor.
    """
    trial.set_user_attr("architecture", render(genome))
    trial.set_user_attr("macs", count_macs(genome, space.image_shape, space.classes))
    planned = generation(trial)
    if planned is not None:
        trial.set_user_attr("generation", planned)
    trial.set_user_attr("machine", machine(accelerator))


def record_violation(trial: optuna.Trial, constraint: str, excess: float, reason: str) -> None:
    """Write a violated constraint, ``feasible`` False and the ``reason``."""
    trial.set_constraint(constraint, excess)
    trial.set_user_attr("feasible", False)
    trial.set_user_attr("reason", reason)


def record_training(trial: optuna.Trial, result: TrainingResult) -> Curve:
    """Write ``curve`` and the rest of a result; ``reason`` where it ended early.

    Returns:
        The curve: rows of epoch, training loss (None where not finite), validation error.
    """
    curve: Curve = [
        [e.number, _rounded(e.train_loss), _rounded(e.validation_error)] for e in result.epochs
    ]
    for name, value in (
        ("curve", curve),
        ("epochs", len(curve)),
        ("seconds", round(result.seconds, 3)),
        ("status", result.status),
        ("precision", result.precision),
        ("feasible", True),
    ):
        trial.set_user_attr(name, value)
    if result.status != "ok":
        trial.set_user_attr("reason", result.status)
    return curve


def store_files(
    trial: optuna.Trial,
    folder: Path | None,
    genome: Genome,
    space: CNNSpace,
    curve: Sequence[Sequence[float | None]] = (),
) -> None:
    """Store drawing, layer table and, where there is one, curve; nothing without a folder."""
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
    history = attributes.get("retry_history") or []
    study = crc32(trial.study.study_name.encode())
    old = folder / f"{study:08x}-{int(history[0])}.pt" if history else None
    return old if old is not None and old.exists() else None


def _rounded(value: float | None) -> float | None:
    """Return a number that JSON can hold and that a dashboard's column can show."""
    return round(value, 6) if value is not None and math.isfinite(value) else None


def generation(trial: optuna.Trial) -> int | None:
    """Return the generation that the sampler planned a running trial for; ``None`` for others."""
    plan = _compat.frozen(trial).system_attrs.get(PLAN_KEY)
    return None if plan is None else int(plan["generation"])


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


def pareto_front(study: optuna.Study) -> list[FrozenTrial]:
    """Return the feasible Pareto front, one trial per architecture, by error."""
    trials = sorted(study.best_trials, key=lambda t: (t.values, t.number))
    return list({t.user_attrs.get("architecture"): t for t in reversed(trials)}.values())[::-1]


def ended_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials in an end state, in the order of their completion."""
    trials = (t for t in study.get_trials(deepcopy=False) if t.state.is_finished())
    return sorted(trials, key=lambda t: (str(t.datetime_complete), t.number))


def count_finished(study: optuna.Study) -> int:
    """Return how many trials count towards the total: complete and pruned ones."""
    return sum(t.state in FINISHED for t in ended_trials(study))
