"""Terminal output of a training: epochs, losses and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from optuna_de.cli.console import errors, say

if TYPE_CHECKING:
    from optuna_de.cnn.training.epochs import Epoch

OnEpoch: TypeAlias = "Callable[[Epoch], None]"


@contextmanager
def training_progress(
    epochs: int, label: str, held_out: bool, score: str = "accuracy"
) -> Iterator[OnEpoch]:
    """Show the epochs with the time left; a line for each if the output is no terminal.

    Args:
        epochs: Number of epochs.
        label: Name of the training, before the number of the epoch.
        held_out: Whether the validation figures are of images that are not trained on.
        score: What 1 less the validation error is called.
    """
    columns = (
        TextColumn("{task.description}epoch", markup=False),
        MofNCompleteColumn(),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[news]}", markup=False),
        TimeElapsedColumn(),
        _Left(),
    )
    live = errors.is_terminal
    with Progress(*columns, console=errors, disable=not live) as bar:
        task = bar.add_task(f"{label} " if label else "", total=epochs, news="", end=None)
        spent: list[float] = []

        def on_epoch(epoch: Epoch) -> None:
            news = _news(epoch, held_out, score)
            spent.append(epoch.seconds)
            left = (epochs - epoch.number) * sum(spent) / len(spent)
            bar.update(task, completed=epoch.number, news=news, end=time.monotonic() + left)
            if not live:
                say(
                    f"{label}{' ' if label else ''}epoch {epoch.number} of {epochs}: {news}, "
                    f"{epoch.seconds:.1f} s, about {left:.0f} s left",
                    errors,
                )

        yield on_epoch


class _Left(ProgressColumn):
    """The time left, estimated from the mean time of the epochs so far."""

    def render(self, task: Task) -> Text:
        if task.fields["end"] is None:
            return Text("time left not known yet")
        left = max(0, round(task.fields["end"] - time.monotonic()))
        return Text(f"{timedelta(seconds=left)} left")


def _news(epoch: Epoch, held_out: bool, score: str) -> str:
    error = epoch.validation_error
    name = "validation" if held_out else "on trained images without augmentation"
    shown = "" if score == "accuracy" else f" {score}"
    other = "" if error is None else f", {name}{shown} {1 - error:.2%}"
    return f"loss {epoch.train_loss:.4f}, accuracy in training {1 - epoch.train_error:.2%}{other}"
