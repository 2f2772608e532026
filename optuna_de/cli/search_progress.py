"""Terminal output of a search: live progress, then the Pareto front as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from optuna_de._text import printable
from optuna_de.cli.console import say
from optuna_de.cnn.study.attributes import read_attributes
from optuna_de.cnn.study.objectives import MACS, OBJECTIVES
from optuna_de.cnn.study.trials import FINISHED, count_finished, ended_trials, pareto_front

_ALL_TIME = 1e9  # seconds over which speed is a mean: trials may last hours
_OTHER_COLUMNS = 50  # characters of a row of the table besides the architecture
_NARROWEST = 20


def front_table(study: optuna.Study, width: int = 80) -> Table | str:
    """Return the front as a table: trial, architecture, error, parameters, MACs.

    Architectures that are wider than ``width`` characters are folded between units. A study
    that has no front yet gives a sentence instead.
    """
    trials = pareto_front(study)
    if not trials:
        return f"Study {printable(study.study_name)} has no finished network yet."
    title = f"Pareto front of {escape(printable(study.study_name))}"
    table = Table(title=title, title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("architecture", overflow="fold")
    for column in (*OBJECTIVES, MACS):
        table.add_column(column.name, justify="right", no_wrap=True)
    for trial in trials:
        attributes = read_attributes(trial)
        architecture = attributes.text("architecture", absent="?")
        table.add_row(
            str(trial.number),
            escape(fold(architecture, max(width - _OTHER_COLUMNS, _NARROWEST))),
            *(o.text(value) for o, value in zip(OBJECTIVES, trial.values, strict=True)),
            attributes.text("macs", absent="?"),
        )
    return table


def fold(architecture: str, width: int) -> str:
    """Break an architecture into lines of at most ``width`` characters, after hyphens.

    A unit longer than that has a line of its own.
    """
    first, *others = architecture.split("-")
    lines = [first]
    for unit in others:
        lines[-1] += "-"
        if len(lines[-1]) + len(unit) + 1 > width:
            lines.append(unit)
        else:
            lines[-1] += unit
    return "\n".join(lines)


@contextmanager
def search_progress(
    study: optuna.Study, total: int, console: Console
) -> Iterator[Callable[[], None]]:
    """Show one line that follows the study: trial k of n, best error, front size, time left.

    Yields a function that reads the study again. If the output is no terminal, it prints a line
    for each trial that has ended since.
    """
    columns = (
        TextColumn("trial"),
        MofNCompleteColumn(),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[news]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns,
        console=console,
        disable=not console.is_terminal,
        speed_estimate_period=_ALL_TIME,
    ) as progress:
        shown = {t.number for t in ended_trials(study)}
        task = progress.add_task(
            "", total=total, completed=count_finished(study), news=_news(study)
        )

        def refresh() -> None:
            fresh = [t for t in ended_trials(study) if t.number not in shown]
            if not fresh:
                return
            done = count_finished(study)
            progress.update(task, completed=done, news=_news(study))
            if not console.is_terminal:
                _print(fresh, done, total, console)
            shown.update(t.number for t in fresh)

        yield refresh


def _news(study: optuna.Study) -> str:
    trials = study.best_trials
    if not trials:
        return "no network yet"
    first, best = OBJECTIVES[0], min(t.values[0] for t in trials)
    return f"best {first.name} {first.text(best)}, front of {len(trials)}"


def _print(fresh: list[FrozenTrial], done: int, total: int, console: Console) -> None:
    done -= sum(t.state in FINISHED for t in fresh)
    for trial in fresh:
        done += trial.state in FINISHED
        say(f"{done} of {total}: {_line(trial)}", console)


def _line(trial: FrozenTrial) -> str:
    attributes = read_attributes(trial)
    architecture = attributes.text("architecture", absent="no network")
    if trial.state == TrialState.COMPLETE:
        error, parameters = trial.values
        return f"error {error:.2%}, {parameters:,.0f} parameters, {architecture}"
    if trial.state == TrialState.FAIL:
        return f"trial {trial.number} failed or was interrupted, {architecture}"
    return f"stopped ({attributes.text('reason', absent='no reason recorded')}), {architecture}"
