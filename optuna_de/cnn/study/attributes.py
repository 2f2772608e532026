"""User attributes of a trial: records of network, training and violation, read by their types.

Optuna takes attributes only while the trial runs. Anyone who can write to a shared storage can
write any attribute, so readers go through :func:`read_attributes`. ``feasible`` is set to False
as soon as a constraint is violated, because optuna-dashboard 0.21 does not show constraints.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import optuna
from optuna.trial import FrozenTrial

from optuna_de import _compat
from optuna_de._attributes import (
    UNREADABLE,
    read_count,
    read_curve,
    read_number,
    read_numbers,
    read_text,
)
from optuna_de._machine import machine
from optuna_de._text import number_text
from optuna_de.cnn.architecture.cost import count_macs
from optuna_de.cnn.architecture.genomes import Genome, render
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.sampler.plan import stored_plan

if TYPE_CHECKING:
    from optuna_de.cnn.training.trainer import TrainingResult

CurveRows: TypeAlias = "list[list[float | None]]"
ATTRIBUTES: Mapping[str, Callable[[object], Any]] = {
    **dict.fromkeys(
        (
            *("architecture", "inherited", "known", "machine", "precision"),
            *("progress", "reason", "status"),
        ),
        read_text,
    ),
    **dict.fromkeys(("epochs", "generation", "macs", "passes", "seed"), read_count),
    **{"seconds": read_number, "curve": read_curve},
    **dict.fromkeys(("measured", "rescored"), read_numbers),
    "feasible": lambda value: value if isinstance(value, bool) else None,
}
"""Readers of all attributes by name: each gives a value of its type, or None."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """User attributes of a trial, read by their types.

    Args:
        values: By name; those that are absent or not of their type are left out.
        unreadable: Names of those that are not of their type.
    """

    values: Mapping[str, Any]
    unreadable: frozenset[str]

    def text(self, name: str, absent: str = "") -> str:
        """Return an attribute as a printable line; "unreadable" if it is not of its type."""
        if name in self.unreadable:
            return UNREADABLE
        return number_text(self.values[name]) if name in self.values else absent


def read_attributes(trial: FrozenTrial) -> Attributes:
    """Return the user attributes of a trial, read by their types."""
    given = {
        n: read(trial.user_attrs[n]) for n, read in ATTRIBUTES.items() if n in trial.user_attrs
    }
    values = {name: value for name, value in given.items() if value is not None}
    return Attributes(values, frozenset(given.keys() - values.keys()))


def record(trial: optuna.Trial, **values: object) -> None:
    """Record user attributes of a trial.

    Raises:
        KeyError: If :data:`ATTRIBUTES` lacks a name.
    """
    for name, value in values.items():
        if name not in ATTRIBUTES:
            raise KeyError(f"{name!r} is not among the attributes of a trial: {[*ATTRIBUTES]}.")
        trial.set_user_attr(name, value)


def record_network(
    trial: optuna.Trial, genome: Genome, space: CNNSpace, accelerator: str = ""
) -> None:
    """Record the network of a trial as user attributes, before its training.

    ``architecture`` (text), ``macs``, ``machine`` (text) and, if the sampler planned the trial,
    ``generation``.

    Args:
        trial: A running trial.
        genome: Its network.
        space: The space of the network.
        accelerator: Name of the accelerator that trains, empty for the processor.
    """
    macs = count_macs(genome, space.image_shape, space.classes)
    record(trial, architecture=render(genome), macs=macs)
    planned = generation(trial)
    if planned is not None:
        record(trial, generation=planned)
    record(trial, machine=machine(accelerator))


def measured_price(trial: optuna.Trial, name: str, measure: Callable[[], float]) -> float:
    """Return a measured price of the trial's network, measured only if the study lacks it.

    It is kept as the attribute ``measured``, by name; networks are told apart by their text.

    Args:
        trial: A running trial, its network recorded.
        name: Name of the price.
        measure: Measures it.
    """
    network = trial.user_attrs.get("architecture")
    for other in trial.study.get_trials(deepcopy=False):
        if other.user_attrs.get("architecture") == network:
            known = read_attributes(other).values.get("measured", {})
            if name in known:
                value = float(known[name])
                break
    else:
        value = measure()
    stored = read_attributes(_compat.frozen(trial)).values.get("measured", {})
    record(trial, measured={**stored, name: value})
    return value


def record_violation(trial: optuna.Trial, constraint: str, excess: float, reason: str) -> None:
    """Record a violation of a constraint as user attributes: ``feasible`` False and the reason.

    optuna-dashboard 0.21 reads only the list ``constraints`` of Optuna before 5.0, and Optuna 5.0
    adds its entries to the constraints with names. The list holds the smallest positive number:
    a violation that leaves every sum of violations as it is.

    Args:
        trial: A running trial.
        constraint: Its name.
        excess: How far it is violated, above 0.
        reason: One sentence.
    """
    trial.set_constraint(constraint, excess)
    _compat.set_system_attr(trial.study, trial, "constraints", [sys.float_info.min])
    record(trial, feasible=False, reason=reason)


def record_training(trial: optuna.Trial, result: TrainingResult) -> CurveRows:
    """Record the training of a trial as user attributes; ``reason`` if it ended early.

    Returns:
        The curve: rows of epoch, training loss (None if not finite), validation error.
    """
    curve: CurveRows = [
        [e.number, _rounded(e.train_loss), _rounded(e.validation_error)] for e in result.epochs
    ]
    record(trial, curve=curve, epochs=len(curve), seconds=round(result.seconds, 3))
    record(trial, status=result.status, precision=result.precision, feasible=True)
    if result.status != "ok":
        record(trial, reason=result.status)
    return curve


def _rounded(value: float | None) -> float | None:
    """Return a number that JSON can hold and that a dashboard's column can show."""
    return round(value, 6) if value is not None and math.isfinite(value) else None


def generation(trial: optuna.Trial) -> int | None:
    """Return the generation that the sampler planned a running trial for; ``None`` for others."""
    plan = stored_plan(_compat.frozen(trial))
    return None if plan is None else plan.generation
