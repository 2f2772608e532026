"""The command ``search`` of small, accurate networks: its options."""

from __future__ import annotations

from typing import Annotated

import typer

from optuna_de.cli.options import BUDGET, MACHINE, Opt, spread
from optuna_de.cnn.search.options import SearchOptions


@spread()
def search(
    options: SearchOptions,
    timeout: Annotated[
        float | None,
        Opt(rich_help_panel=BUDGET, help="Seconds after which no trial is started."),
    ] = None,
    workers: Annotated[
        int | None,
        Opt(
            rich_help_panel=MACHINE,
            help="Processes on this machine (default: one per GPU or core); GPUs are shared.",
        ),
    ] = None,
) -> None:
    """Search small, accurate networks.

    Run the same command again, on this or another machine, to continue.

    Example: optuna-de search --data photos --image-size 64 --max-parameters 500000
    """
    from optuna_de.cli.runs.search import run_search

    raise typer.Exit(run_search(options, workers, timeout))
