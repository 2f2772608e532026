"""The command ``optuna-de``: options, errors in one sentence, exit codes."""

from __future__ import annotations

import logging
from typing import Annotated

import optuna
import typer
from optuna.exceptions import StorageInternalError
from rich.logging import RichHandler
from rich.markup import escape

from optuna_de import __version__
from optuna_de.cli.compare import compare
from optuna_de.cli.console import console, errors, replace_unprintable
from optuna_de.cli.data import data
from optuna_de.cli.export import export, predict
from optuna_de.cli.fit import best, fit
from optuna_de.cli.options import Opt
from optuna_de.cli.report import dashboard, report
from optuna_de.cli.search import search
from optuna_de.cli.train import train
from optuna_de.worker.optimize import StudyDeletedError, TooManyFailuresError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        console.print(f"optuna-de {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, Opt("--version", callback=_say_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Neural architecture search by differential evolution, on Optuna."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=errors, show_time=False, show_path=False)],
    )


app.command()(fit)
app.command()(data)
app.command()(search)
app.command()(report)
app.command()(dashboard)
app.command()(export)
app.command()(predict)
app.command()(train)
app.command()(best)
app.command()(compare)


def run(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code.

    It is 2 with one sentence for bad input, 1 with one sentence if a search cannot continue, and
    128 plus the signal that ended it.
    """
    replace_unprintable()
    try:
        app(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except ValueError as error:
        return _fail(error, 2)
    except (TooManyFailuresError, StudyDeletedError, StorageInternalError, OSError) as error:
        return _fail(error, 1)
    return 0


def _fail(error: Exception, code: int) -> int:
    sentence = " ".join(escape(str(error)).split())
    errors.print(f"[bold red]Error:[/] {sentence}", highlight=False, soft_wrap=True)
    return code
