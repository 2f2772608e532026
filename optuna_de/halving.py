"""Halving: early stopping of trials at rungs, by Pareto rank among their rivals.

Knows Optuna's public trials; knows nothing of networks, and keeps no state but one user attribute
per trial and rung. The rungs are those of asynchronous successive halving in its stopping form
(Li et al. 2020, arXiv:1810.05934; for several objectives Schmucker et al. 2021, arXiv:2106.12639):
nothing is paused and nothing is waited for. The rank is the number of dominators (Fonseca and
Fleming 1993), finer than the layers of non-dominated sorting that MO-ASHA peels off.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from optuna_de._files import warn_once
from optuna_de.evolution.pareto import dominators, signs_of

_KEY = "optuna_de:v1:rung:"
_EPOCH = re.compile("[0-9]{1,9}")
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Rung:
    """Rung of a trial: its values there and whether it stops.

    Args:
        trial: Number of the trial that got there first; a retried trial keeps it.
        values: Objective values at that epoch, in the study's directions.
        stop: The decision.
    """

    trial: int
    values: tuple[float, ...]
    stop: bool


@dataclass(frozen=True, slots=True)
class Halving:
    """Early stopping at rungs: trials that do not rank among the best half of their rivals stop.

    A trial goes on where fewer than ``n / reduction_factor`` of the n trials that have reached the
    rung have fewer dominators, so the front always goes on. A trial counts with its values less
    their margins, its rivals with theirs as they are. The decision is stored with the
    values, and a retried trial that inherits them gets it again. Trials are compared at equal
    epochs only, whatever became of them; constraints are ignored.

    Args:
        rungs: Epochs after which to decide, ascending, 1 or more.
        reduction_factor: Above 1; 2 lets about half go on.
        full_share: Share of trials in [0, 1] that always run to the end, against myopia. Trial
            ``i`` is one where the fractional part of ``i`` golden ratios is below the share, which
            spreads them evenly over every stretch of trial numbers.

    Raises:
        ValueError: Where an argument is out of range.

    Example:
        >>> halving = Halving.within(9)
        >>> halving.rungs
        (1, 3, 6)
        >>> def objective(trial):
        ...     width, error = trial.suggest_int("width", 1, 64), 1.0
        ...     for epoch in range(1, 10):
        ...         error += (1 / width - error) / 2
        ...         if epoch < 9 and halving.should_stop(trial, epoch, (error, width)):
        ...             raise optuna.TrialPruned
        ...     return error, width
        >>> study = optuna.create_study(directions=["minimize", "minimize"])
        >>> study.optimize(objective, n_trials=20)
    """

    rungs: tuple[int, ...] = (1, 3, 9, 18)
    reduction_factor: float = 2.0
    full_share: float = 0.05

    def __post_init__(self) -> None:
        if not self.rungs or self.rungs[0] < 1 or list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(
                f"The rungs are {self.rungs}, but must be ascending epochs of 1 or more."
            )
        if not self.reduction_factor > 1:
            raise ValueError(
                f"The reduction factor is {self.reduction_factor}, but must be above 1."
            )
        if not 0 <= self.full_share <= 1:
            raise ValueError(f"The full share is {self.full_share}, but must be in [0, 1].")

    @classmethod
    def within(
        cls, epochs: int, reduction_factor: float = 2.0, full_share: float = 0.05
    ) -> Halving:
        """Return rungs at about 1/27, 1/9, 1/3 and 2/3 of the 2 or more epochs of a training."""
        if epochs < 2:
            raise ValueError(f"There are {epochs} epochs, but a rung needs 2 or more.")
        rungs = {max(1, round(epochs * share)) for share in (1 / 27, 1 / 9, 1 / 3, 2 / 3)} - {
            epochs
        }
        return cls(tuple(sorted(rungs)), reduction_factor, full_share)

    def should_stop(
        self,
        trial: optuna.Trial,
        epoch: int,
        values: Sequence[float],
        margins: Sequence[float] | None = None,
    ) -> bool:
        """Return whether to raise :class:`optuna.TrialPruned` now.

        Call it after every epoch but the last. Between rungs it reads no storage; at a rung it
        reads the study's trials once and writes one attribute. A trial resumed from a checkpoint
        calls it again for the epoch it resumes from.

        Args:
            trial: The running trial of a study with any number of objectives.
            epoch: Epochs (or other units of budget) spent so far, 1 or more.
            values: The objectives so far, one per direction of the study, in its directions.
            margins: By how much each value, 0 or more, may look worse than it is, in the benefit
                of the doubt (see :func:`rate_margin`); none by default.

        Raises:
            ValueError: Where the epoch is below 1, a value is missing or not a number, or a margin
                is negative.
        """
        directions = trial.study.directions
        own = _checked(epoch, values, directions)
        hoped = _hoped(own, margins, directions)
        inherited = rungs_of(trial.user_attrs)
        if any(rung.stop for at, rung in inherited.items() if at <= epoch):
            return True
        if epoch not in self.rungs or epoch in inherited:
            return False
        root = min((rung.trial for rung in inherited.values()), default=trial.number)
        trials = trial.study.get_trials(deepcopy=False)
        others = [values for values in rivals(trials, epoch, root) if len(values) == len(own)]
        stop = self.decide(hoped, others, directions, root)
        trial.set_user_attr(f"{_KEY}{epoch}", asdict(Rung(root, own, stop)))
        return stop

    def decide(
        self,
        values: Sequence[float],
        rivals: Sequence[Sequence[float]],
        directions: Sequence[StudyDirection],
        number: int,
    ) -> bool:
        """Return whether trial ``number`` stops, given its and its rivals' values at a rung."""
        if self.runs_to_end(number):
            return False
        losses = np.array([values, *rivals], dtype=float) * signs_of(directions)
        counts = dominators(losses)
        better = int((counts < counts[0]).sum())
        return better * self.reduction_factor >= len(counts)

    def runs_to_end(self, number: int) -> bool:
        """Return whether the trial of this number is never stopped."""
        return number * _GOLDEN % 1.0 < self.full_share


def rate_margin(rate: float, n: int, progress: float) -> float:
    """Return the margin of an error rate for :meth:`Halving.should_stop`.

    It is three quarters of the rate's standard error, more at an early epoch: both constants were
    chosen on recorded curves (``benchmarks/halving/replay.py``).

    Args:
        rate: Share of wrong answers, in [0, 1].
        n: Answers that were judged, 1 or more.
        progress: Share of the whole training that is done, in (0, 1].
    """
    variance = max(rate * (1 - rate), 1 / n) / n
    return 0.75 * math.sqrt(variance) * math.pow(progress, -0.25)


def rungs_of(user_attrs: Mapping[str, Any]) -> dict[int, Rung]:
    """Return the rungs of a trial by epoch, from its user attributes; unreadable ones are left."""
    spelt = ((key.removeprefix(_KEY), r) for key, r in user_attrs.items() if key.startswith(_KEY))
    read = ((int(epoch), _read_rung(record)) for epoch, record in spelt if _EPOCH.fullmatch(epoch))
    return {epoch: rung for epoch, rung in read if rung is not None}


def _read_rung(record: Any) -> Rung | None:
    """Return a stored rung; None, said once in the log, if another program wrote what is none."""
    try:
        values = tuple(float(value) for value in record["values"])
        if not any(map(math.isnan, values)):
            return Rung(int(record["trial"]), values, bool(record["stop"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    warn_once(f"A rung of a trial cannot be read and is ignored: {str(record)[:80]!r}.")
    return None


def rivals(trials: Iterable[FrozenTrial], epoch: int, number: int) -> list[tuple[float, ...]]:
    """Return the rivals of a trial at a rung: values of all others; a retry counts once."""
    key = f"{_KEY}{epoch}"
    rungs = (_read_rung(t.user_attrs[key]) for t in trials if key in t.user_attrs)
    values = {rung.trial: rung.values for rung in rungs if rung is not None}
    return [values[other] for other in sorted(values) if other != number]


def _checked(
    epoch: int, values: Sequence[float], directions: Sequence[StudyDirection]
) -> tuple[float, ...]:
    if epoch < 1:
        raise ValueError(f"The epoch is {epoch}, but must be 1 or more: epochs spent so far.")
    own = tuple(float(value) for value in values)
    if len(own) != len(directions) or any(math.isnan(value) for value in own):
        raise ValueError(
            f"The values at epoch {epoch} are {own}, but must be {len(directions)} numbers, one "
            "per objective; report a finite worst value for a diverged trial."
        )
    return own


def _hoped(
    own: tuple[float, ...], margins: Sequence[float] | None, directions: Sequence[StudyDirection]
) -> tuple[float, ...]:
    """Return values that are better by their margins."""
    margins = (0.0,) * len(own) if margins is None else margins
    if len(margins) != len(own) or not all(margin >= 0 for margin in margins):
        raise ValueError(
            f"The margins are {margins}, but must be {len(own)} numbers of 0 or more."
        )
    return tuple(
        value - sign * margin
        for value, margin, sign in zip(own, margins, signs_of(directions), strict=True)
    )
