"""What a trial of a network leaves: attributes that become columns, and files. No torch.

Attributes and files can be written only while the trial runs. A trial's ``feasible`` is False from
the moment a constraint is known to be violated; optuna-dashboard 0.21 shows no constraints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

import optuna
from optuna.artifacts import FileSystemArtifactStore

from optuna_de import _compat
from optuna_de.cnn.artifacts import generation, upload
from optuna_de.cnn.layers import count_macs
from optuna_de.cnn.machine import machine
from optuna_de.cnn.space import CNNSpace
from optuna_de.cnn.units import Genome, render

if TYPE_CHECKING:
    from optuna_de.cnn.training import TrainingResult

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
    """Return the checkpoint of a trial and of all its retries; none without a folder."""
    if folder is None:
        return None
    history = _compat.frozen(trial).system_attrs.get("retry_history") or [trial.number]
    study = crc32(trial.study.study_name.encode())
    return folder / f"{study:08x}-{int(history[0])}.pt"


def _rounded(value: float | None) -> float | None:
    """Return a number that JSON can hold and that a dashboard's column can show."""
    return round(value, 6) if value is not None and math.isfinite(value) else None
