"""Rows of a report about a study: its setup, its cost, where it ran. Knows no networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TypeAlias

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from optuna_de._machine import machine, versions
from optuna_de._text import duration
from optuna_de.visualization.trials import finished_trials

SETUP_KEY = "optuna_de:setup"
Rows: TypeAlias = "tuple[tuple[str, str], ...]"


def setup_rows(study: optuna.Study) -> Rows:
    """Return objectives and what the search recorded of its setup."""
    told = study.user_attrs.get(SETUP_KEY)
    rows = told.items() if isinstance(told, Mapping) else ()
    aims = ("minimised", "maximised")
    objectives = (
        f"{name} ({aims[direction == StudyDirection.MAXIMIZE]})"
        for name, direction in zip(
            finished_trials.names_of(study, None), study.directions, strict=True
        )
    )
    return (("objectives", ", ".join(objectives)), *((str(k), str(v)) for k, v in rows))


def cost_rows(trials: Iterable[FrozenTrial], finished: Sequence[finished_trials.Entry]) -> Rows:
    """Return how many trials, epochs and seconds a search took."""
    every = list(trials)
    states = Counter(t.state.name.lower() for t in every)
    epochs = [t.user_attrs.get("epochs") for t in every]
    starts = [t.datetime_start for t in every if t.datetime_start]
    ends = [t.datetime_complete for t in every if t.datetime_complete]
    rows = [
        ("trials", ", ".join(f"{n:,} {state}" for state, n in states.items()) or "none"),
        ("infeasible trials", f"{sum(not e.feasible for e in finished):,}"),
        ("epochs trained", f"{sum(e for e in epochs if isinstance(e, int)):,}"),
        ("compute", duration(sum(e.seconds for e in finished))),
    ]
    if starts and ends:
        rows.append(
            ("first start to last end", duration((max(ends) - min(starts)).total_seconds()))
        )
    return tuple(rows)


def origin_rows(trials: Iterable[FrozenTrial]) -> Rows:
    """Return where trials ran, and when, where and with what the report is written."""
    where = Counter(str(t.user_attrs["machine"]) for t in trials if "machine" in t.user_attrs)
    return (
        *((f"{n:,} trials ran on", text) for text, n in where.most_common(5)),
        ("report written", f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"),
        ("report written on", machine()),
        ("report written with", versions()),
    )
