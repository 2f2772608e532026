"""What a search shows in a terminal: live progress, then the Pareto front as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def front(study: optuna.Study) -> list[FrozenTrial]:
    """Return the feasible Pareto front, one trial per architecture, by error."""
    trials = sorted(study.best_trials, key=lambda t: (t.values, t.number))
    return list({t.user_attrs.get("architecture"): t for t in reversed(trials)}.values())[::-1]


def front_table(study: optuna.Study) -> Table:
    """Return the front as a table: trial, architecture, error, parameters, MACs."""
    table = Table(title=f"Pareto front of {study.study_name}", title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("architecture", overflow="fold")
    for name in ("error", "parameters", "MACs"):
        table.add_column(name, justify="right", no_wrap=True)
    for trial in front(study):
        error, parameters = trial.values
        table.add_row(
            str(trial.number),
            str(trial.user_attrs.get("architecture", "?")),
            f"{error:.2%}",
            f"{parameters:,.0f}",
            f"{trial.user_attrs.get('macs', 0):,}",
        )
    return table


@contextmanager
def live(study: optuna.Study, total: int, console: Console) -> Iterator[Callable[[], None]]:
    """Show one line that follows the study: trial k of n, best error, front size, time left.

    Yields a function that looks at the study again. Where the output is no terminal, it prints a
    line for each trial that has finished since.
    """
    columns = (
        TextColumn("trial"),
        MofNCompleteColumn(),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[news]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        told = {t.number for t in _ended(study)}
        done = _done(study)
        task = progress.add_task("search", total=total, completed=done, news=_news(study))

        def look() -> None:
            ended = _ended(study)
            fresh = [t for t in ended if t.number not in told]
            if not fresh:
                return
            told.update(t.number for t in fresh)
            done = sum(t.state in _FINISHED for t in ended)
            progress.update(task, completed=done, news=_news(study))
            for trial in fresh if not console.is_terminal else ():
                console.print(
                    f"{done} of {total}: {_line(trial)}", highlight=False, soft_wrap=True
                )

        yield look


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    return [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]


def _done(study: optuna.Study) -> int:
    return sum(t.state in _FINISHED for t in study.get_trials(deepcopy=False))


def _news(study: optuna.Study) -> str:
    trials = study.best_trials
    if not trials:
        return "nothing finished yet"
    best = min(t.values[0] for t in trials)
    return f"best error {best:.2%}, front of {len(trials)}"


def _line(trial: FrozenTrial) -> str:
    architecture = trial.user_attrs.get("architecture", "no network")
    if trial.state == TrialState.COMPLETE:
        error, parameters = trial.values
        return f"error {error:.2%}, {parameters:,.0f} parameters, {architecture}"
    reason = trial.user_attrs.get("reason", "no reason recorded")
    return f"{trial.state.name.lower()} ({reason}), {architecture}"
