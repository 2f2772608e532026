"""Content of a report: rows of text and the networks of the Pareto front.

Depends on studies and networks only; no HTML, no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import optuna
from optuna.trial import FrozenTrial

from optuna_de._attributes import UNREADABLE
from optuna_de._text import printable, shell_line
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.layer_table import layer_rows
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.drawing.plots import draw_svg
from optuna_de.cnn.report.tables import COMPUTE, Rows, cost_rows, origin_rows, setup_rows
from optuna_de.cnn.study.attributes import read_attributes
from optuna_de.cnn.study.objectives import value_text
from optuna_de.cnn.study.setup import recorded_task
from optuna_de.cnn.study.trials import useful_front
from optuna_de.storage.url import redact
from optuna_de.visualization.trials import finished_trials

SHOWN, PICKS = 200, 8
"""Most networks of a front that a report shows, and most picks."""
_LONGEST = 2000  # characters of an architecture that is drawn
_NO_TASK = "The study does not record image shape and classes, so nothing is drawn."
Task: TypeAlias = tuple[ImageShape, int]


@dataclass(frozen=True, slots=True)
class FrontRow:
    """A trial of the Pareto front.

    Args:
        number: The trial's number.
        values: One per objective, as text.
        architecture: Text form as the trial recorded it; not to be trusted.
        notes: Other figures, as ``(name, text)``.
        command: The command of its final training.
        svg: Its drawing, escaped; empty if ``problem`` says why there is none.
        layers: Rows of name, output shape, parameters, MACs.
    """

    number: int
    values: tuple[str, ...]
    architecture: str
    notes: Rows
    command: str
    svg: str = ""
    layers: tuple[tuple[str, str, str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReportContent:
    """A study in words; ``excuse`` is the sentence shown if there is nothing to show.

    ``front`` is sorted by the first objective, best first, and cut to ``SHOWN`` networks of
    ``front_size``; ``picks`` are at most ``PICKS`` of them, evenly spread.
    """

    study_name: str
    objectives: tuple[str, ...]
    finished: int
    front_size: int
    front: tuple[FrontRow, ...]
    picks: tuple[FrontRow, ...]
    setup: Rows
    cost: Rows
    origin: Rows
    excuse: str = ""

    @property
    def headline(self) -> str:
        """The study in one sentence."""
        cost = dict(self.cost)
        return (
            f"{self.finished:,} finished trials, {self.front_size:,} on the front; "
            f"{cost['epochs trained']} epochs trained in {cost[COMPUTE]} of compute."
        )


def read_content(study: optuna.Study, storage: str | None = None) -> ReportContent:
    """Read a study.

    Args:
        study: A study, best a copy that no worker changes meanwhile.
        storage: URL for the commands; its password is left out.
    """
    finished = finished_trials.entries(study)
    best = sorted(
        finished_trials.pareto_entries(finished_trials.scored(finished)),
        key=lambda e: (e.losses, e.number),
    )
    trials = {t.number: t for t in study.get_trials(deepcopy=False)}
    names = finished_trials.names_of(study, None)
    front = _front_rows(study, [trials[e.number] for e in _spread(best, SHOWN)], names, storage)
    return ReportContent(
        study_name=printable(study.study_name),
        objectives=tuple(map(printable, names)),
        finished=len(finished),
        front_size=len(best),
        front=front,
        picks=_picks(study, front),
        setup=setup_rows(study),
        cost=cost_rows(trials.values(), finished),
        origin=origin_rows(trials.values()),
        excuse=finished_trials.excuse(finished),
    )


def _spread(items: Sequence[Any], limit: int) -> Sequence[Any]:
    """Return at most ``limit`` items, evenly spread, the first and the last among them."""
    if len(items) <= limit:
        return items
    return [items[round(i * (len(items) - 1) / (limit - 1))] for i in range(limit)]


def _picks(study: optuna.Study, front: Sequence[FrontRow]) -> tuple[FrontRow, ...]:
    """Return rows of the front that lie in the study's region, evenly spread."""
    numbers = {t.number for t in useful_front(study)} if len(study.directions) == 2 else set()
    useful = [row for row in front if row.number in numbers]
    return tuple(_spread(useful or front, PICKS))


def _front_rows(
    study: optuna.Study, trials: Sequence[FrozenTrial], names: Sequence[str], storage: str | None
) -> tuple[FrontRow, ...]:
    task = recorded_task(study)
    rows = (_row(trial, names, _command(study, storage, trial.number)) for trial in trials)
    if task is None:
        return tuple(replace(row, problem=_NO_TASK) for row in rows)
    return tuple(_drawn(row, task) for row in rows)


def _row(trial: FrozenTrial, names: Sequence[str], command: str) -> FrontRow:
    attributes = read_attributes(trial)
    notes = tuple(
        (title, attributes.text(name))
        for title, name in (("MACs", "macs"), ("epochs", "epochs"), ("seconds", "seconds"))
        if name in trial.user_attrs
    )
    values = tuple(value_text(name, v) for name, v in zip(names, trial.values, strict=True))
    return FrontRow(trial.number, values, attributes.text("architecture"), notes, command)


def _drawn(row: FrontRow, task: Task) -> FrontRow:
    text = row.architecture
    if not text:
        return replace(row, problem="This trial records no architecture.")
    if text == UNREADABLE:
        return replace(row, problem="The architecture of this trial is unreadable.")
    if len(text) > _LONGEST:
        return replace(row, problem=f"Its text has {len(text):,} characters; too long to draw.")
    try:
        genome = parse(text)
        return replace(row, svg=draw_svg(genome, *task), layers=layer_rows(genome, *task))
    except ValueError as error:
        return replace(row, problem=f"It cannot be drawn: {error}")


def _command(study: optuna.Study, storage: str | None, number: int) -> str:
    words = ["optuna-de", "train", "--storage", "STORAGE" if storage is None else redact(storage)]
    words += ["--study-name", study.study_name, "--trial", str(number)]
    return shell_line(words)
