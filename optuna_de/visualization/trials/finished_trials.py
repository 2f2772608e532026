"""Finished trials of a study as entries for plots: losses, labels, objectives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from optuna_de import _compat
from optuna_de._attributes import UNREADABLE, read_number, read_text
from optuna_de.evolution.pareto import signs_of
from optuna_de.sampler.history import wall_clock
from optuna_de.sampler.plan import Plan, stored_plan


@dataclass(frozen=True, slots=True)
class Entry:
    """Finished trial of a study, as an entry for plots.

    Args:
        number: The trial's number.
        values: One per objective; empty if the trial failed or was pruned.
        losses: The values, minimised.
        feasible: Whether no constraint is violated.
        plan: How the sampler planned it; ``None`` for enqueued and added trials, and for plans
            that cannot be read.
        seconds: Seconds of compute: the user attribute ``seconds``, else the trial's duration.
        label: See :func:`label_of`.
    """

    number: int
    values: tuple[float, ...]
    losses: tuple[float, ...] = ()
    feasible: bool = True
    plan: Plan | None = None
    seconds: float = 0.0
    label: str = ""

    @property
    def generation(self) -> int | None:
        """The generation of the plan; ``None`` without one."""
        return None if self.plan is None else self.plan.generation

    @property
    def operator(self) -> str:
        """The operator of the plan; ``"added"`` without one."""
        return "added" if self.plan is None else self.plan.operator


def generation_text(generation: int | None) -> str:
    """Return a trial's generation in words; one that no sampler planned was added."""
    if generation is None:
        return "added"
    return f"generation {generation}" if generation else "initial population"


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the finished trials in the order of their completion, ties by number."""
    finished = [t for t in _compat.fresh_trials_of(study) if t.state.is_finished()]
    return sorted(finished, key=lambda t: (_moment(t), t.number))


def _moment(trial: FrozenTrial) -> datetime:
    """Return when a trial was complete; one without a time comes last."""
    end = trial.datetime_complete
    return datetime.max if end is None else wall_clock(end)


def entries(study: optuna.Study) -> tuple[Entry, ...]:
    """Return the finished trials of a study in the order of their completion."""
    signs = signs_of(study.directions)
    return tuple(entry(trial, signs) for trial in finished_trials(study))


def entry(trial: FrozenTrial, signs: Sequence[float]) -> Entry:
    """Read a finished trial; ``signs`` are -1 for maximised objectives, else 1."""
    values = tuple(trial.values) if trial.state == TrialState.COMPLETE else ()
    return Entry(
        number=trial.number,
        values=values,
        losses=tuple(s * v for s, v in zip(signs, values, strict=False)),
        feasible=all(c <= 0 for c in trial.constraints.values()),
        plan=stored_plan(trial),
        seconds=_seconds(trial),
        label=label_of(trial),
    )


def _seconds(trial: FrozenTrial) -> float:
    recorded = read_number(trial.user_attrs.get("seconds"))
    if recorded is not None:
        return recorded
    start, end = trial.datetime_start, trial.datetime_complete
    if start is None or end is None:
        return 0.0
    return max(0.0, (wall_clock(end) - wall_clock(start)).total_seconds())


def label_of(trial: FrozenTrial) -> str:
    """Return the label of a trial, its ``architecture``; empty without, or "unreadable"."""
    label = read_text(trial.user_attrs.get("architecture", ""))
    return UNREADABLE if label is None else label


def scored(finished: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries that have losses."""
    return tuple(e for e in finished if e.values)


def excuse(finished: Sequence[Entry]) -> str:
    """Return the sentence shown if there is nothing to plot; empty if there is something."""
    if scored(finished):
        return ""
    if not finished:
        return "This study has no finished trial yet."
    return f"None of this study's {len(finished)} finished trials has a value."


def pareto_entries(scored_entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the feasible entries that no other finished trial dominates, in order."""
    feasible = [e for e in scored_entries if e.feasible]
    if not feasible:
        return ()
    best = _compat.is_on_front(loss_array(feasible))
    return tuple(e for e, is_best in zip(feasible, best, strict=True) if is_best)


def loss_array(scored_entries: Sequence[Entry]) -> NDArray[np.float64]:
    """Return the losses of entries, shape ``(n, m)``."""
    return np.array([e.losses for e in scored_entries], dtype=float)


def require_several(study: optuna.Study) -> None:
    """Refuse a study of one objective for plots.

    Raises:
        ValueError: If the study has one objective.
    """
    if len(study.directions) < 2:
        raise ValueError(
            "A front needs two objectives, but this study has 1; plot_optimization_history of "
            "optuna.visualization plots it."
        )


def names_of(study: optuna.Study, target_names: Sequence[str] | None) -> tuple[str, ...]:
    """Return one name per objective: those given, the study's metric names, or a number.

    Raises:
        ValueError: If the number of names given is not the number of objectives.
    """
    n = len(study.directions)
    if target_names is None:
        return tuple(study.metric_names or [f"Objective {i}" for i in range(n)])
    if len(target_names) != n:
        raise ValueError(
            f"target_names has {len(target_names)} names, but the study has {n} objectives."
        )
    return tuple(target_names)


def is_wide(values: Iterable[float]) -> bool:
    """Return whether values need a log scale: positive, the largest ten times the smallest."""
    finite = [v for v in values if math.isfinite(v)]
    return bool(finite) and min(finite) > 0 and max(finite) >= 10 * min(finite)
