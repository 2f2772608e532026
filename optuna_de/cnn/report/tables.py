"""Rows of a report about a study: its setup, its cost, its machines. No networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import TypeAlias

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from optuna_de._machine import machine, versions
from optuna_de._text import duration, printable
from optuna_de.cnn.study.attributes import read_attributes
from optuna_de.cnn.study.objectives import MEASURES
from optuna_de.cnn.study.setup import setup_text
from optuna_de.visualization.trials import finished_trials

Rows: TypeAlias = "tuple[tuple[str, str], ...]"
COMPUTE = "compute (the trials' times added up)"
CLOCK = "time by the clock (first start to last end; workers run side by side)"


def setup_rows(study: optuna.Study) -> Rows:
    """Return objectives and what the search recorded of its setup."""
    names = map(printable, finished_trials.names_of(study, None))
    objectives = ", ".join(map(_objective, names, study.directions))
    recorded = {name: text for name, text in setup_text(study).items() if name != "objectives"}
    return (("objectives", objectives), *recorded.items())


def _objective(name: str, direction: StudyDirection) -> str:
    unit = MEASURES[name].unit if name in MEASURES else ""
    aim = "maximised" if direction == StudyDirection.MAXIMIZE else "minimised"
    return f"{name} ({', '.join(filter(None, (unit, aim)))})"


def cost_rows(trials: Iterable[FrozenTrial], finished: Sequence[finished_trials.Entry]) -> Rows:
    """Return how many trials, epochs and seconds a search took."""
    every = list(trials)
    states = Counter(t.state.name.lower() for t in every)
    epochs = sum(read_attributes(t).values.get("epochs", 0) for t in every)
    rows = [
        ("trials", ", ".join(f"{n:,} {state}" for state, n in states.items()) or "none"),
        ("infeasible trials", f"{sum(not e.feasible for e in finished):,}"),
        ("epochs trained", f"{epochs:,}"),
        (COMPUTE, duration(sum(e.seconds for e in finished))),
    ]
    starts = [t.datetime_start.timestamp() for t in every if t.datetime_start]
    ends = [t.datetime_complete.timestamp() for t in every if t.datetime_complete]
    if starts and ends:
        rows.append((CLOCK, duration(max(ends) - min(starts))))
    return tuple(rows)


def origin_rows(trials: Iterable[FrozenTrial]) -> Rows:
    """Return on which machines trials ran, and when, where and with what the report is written."""
    machines = Counter(read_attributes(t).text("machine") for t in trials)
    machines.pop("", None)
    return (
        *((f"{n:,} trials ran on", text) for text, n in machines.most_common(5)),
        ("report written", f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"),
        ("report written on", machine()),
        ("report written with", versions()),
    )
