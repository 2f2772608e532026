"""Teachers of finals: a final learns from the best larger one that is trained (distillation)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

TEACHER = "teacher"
"""User attribute of a final: the number of the final that teaches it, or "none"."""
NO_TEACHER = "none"
_FORWARD = 1 / 3  # of a training pass: the backward pass costs about two forward passes


def choose_teacher(
    trial: optuna.Trial, size: float, is_here: Callable[[FrozenTrial], bool]
) -> int | None:
    """Return the number of a final's teacher, chosen at its first start and recorded; or None.

    It is the complete final of least validation error among those of more parameters. Another is
    chosen if a final goes on where the weights of the first are not at hand.

    Args:
        trial: A running final.
        size: Its parameters.
        is_here: Tells whether the weights of a final are at hand.
    """
    finals = trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    larger = [t for t in finals if t.values[1] > size and is_here(t)]
    chosen = trial.user_attrs.get(TEACHER)
    if chosen != NO_TEACHER and chosen not in {t.number for t in larger}:
        best = min(larger, key=lambda t: (t.values[0], t.number), default=None)
        trial.set_user_attr(TEACHER, NO_TEACHER if best is None else best.number)
    return read_teacher(trial)


def read_teacher(trial: optuna.Trial | FrozenTrial) -> int | None:
    """Return the number of the final that teaches another, as it records it; None without."""
    number = trial.user_attrs.get(TEACHER)
    return number if isinstance(number, int) else None


def taught_costs(costs: Sequence[float]) -> list[float]:
    """Return the seconds of a training image with a teacher, the costliest being the teacher.

    Args:
        costs: The same without, one network each.
    """
    most = max(costs, default=0.0)
    return [cost + (most * _FORWARD if cost < most else 0.0) for cost in costs]
