"""Terminal output of a search: live progress, then the Pareto front as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from optuna_de.cnn.study.objectives import objective_text, value_text
from optuna_de.cnn.study.trials import FINISHED, count_finished, ended_trials, pareto_front
from optuna_de.visualization.trials.finished_trials import names_of

_ALL_TIME = 1e9  # seconds over which speed is a mean: trials may last hours
_OTHER_COLUMNS = 50  # characters of a row besides the architecture, of two objectives
_ONE_COLUMN = 14  # of each objective more
_NARROWEST = 20
_SHOWN = 2  # networks in training


def front_table(study: optuna.Study, width: int = 80) -> Table | str:
    """Return the front as a table: trial, architecture, objectives, MACs.

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
    names = names_of(study, None)
    room = width - _OTHER_COLUMNS - _ONE_COLUMN * (len(names) - 2)
    columns = (*names, *(["MACs"] if "macs" not in names else []))
    for column in columns:
        table.add_column(escape(printable(column)), justify="right", no_wrap=True)
    for trial in trials:
        attributes = read_attributes(trial)
        architecture = attributes.text("architecture", absent="?")
        table.add_row(
            str(trial.number),
            escape(fold(architecture, max(room, _NARROWEST))),
            *(
                *(value_text(name, v) for name, v in zip(names, trial.values, strict=True)),
                attributes.text("macs", absent="?"),
            )[: len(columns)],
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
    study: optuna.Study, total: int | None, console: Console
) -> Iterator[Callable[[], None]]:
    """Show one line that follows the study: trial k of n, best error, front size, time left.

    A ``total`` of None is a search that its compute ends. Yields a function that reads the study
    again. If the output is no terminal, it prints a line for each trial that has ended since.
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
            if console.is_terminal:
                progress.update(task, news=_news(study))
            if not fresh:
                return
            done = count_finished(study)
            progress.update(task, completed=done, news=_news(study))
            if not console.is_terminal:
                _print(fresh, names_of(study, None), done, total, console)
            shown.update(t.number for t in fresh)

        yield refresh


def _news(study: optuna.Study) -> str:
    trials = study.best_trials
    if not trials:
        return f"no network yet{_in_flight(study)}"
    best = objective_text(names_of(study, None)[0], min(t.values[0] for t in trials))
    return f"best {printable(best)}, front of {len(trials)}{_in_flight(study)}"


def _in_flight(study: optuna.Study) -> str:
    """Return which networks are being trained, and how far they are."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    texts = []
    for attributes in map(read_attributes, running[:_SHOWN]):
        name = attributes.text("architecture", absent="a network")
        short = name if len(name) <= _NARROWEST else f"{name[: _NARROWEST - 3]}..."
        texts.append(" ".join(filter(None, (short, attributes.text("progress")))))
    more = f" and {len(running) - _SHOWN} more" if len(running) > _SHOWN else ""
    return f"; in training: {', '.join(texts)}{more}" if texts else ""


def _print(
    fresh: list[FrozenTrial],
    names: Sequence[str],
    done: int,
    total: int | None,
    console: Console,
) -> None:
    done -= sum(t.state in FINISHED for t in fresh)
    for trial in fresh:
        done += trial.state in FINISHED
        place = done if total is None else f"{done} of {total}"
        say(f"{place}: {_line(trial, names)}", console)


def _line(trial: FrozenTrial, names: Sequence[str]) -> str:
    attributes = read_attributes(trial)
    architecture = attributes.text("architecture", absent="no network")
    if trial.state == TrialState.COMPLETE:
        losses = [objective_text(n, v) for n, v in zip(names, trial.values, strict=True)]
        return f"{printable(', '.join(losses))}, {architecture}"
    if trial.state == TrialState.FAIL:
        return f"trial {trial.number} failed or was interrupted, {architecture}"
    return f"stopped ({attributes.text('reason', absent='no reason recorded')}), {architecture}"
