"""The command ``optuna-de``: options, errors in one sentence, exit codes.

A command's module is loaded when that command is called: help, reports and mistakes do not wait
for torch.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Annotated, Any

import optuna
import typer
from optuna.exceptions import StorageInternalError
from rich.logging import RichHandler
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from optuna_de import __version__
from optuna_de.cli.arguments.config_file import read_config, take_config
from optuna_de.cli.arguments.early_checks import check_early
from optuna_de.cli.console import console, errors, replace_unprintable
from optuna_de.cli.options import Opt
from optuna_de.worker.optimize import StudyDeletedError, TooManyFailuresError

COMMANDS = {
    "fit": (
        "fit",
        "Give images and time, get trained networks by size: search, train, test and export.",
    ),
    "data": (
        "data",
        "Show what a set of images holds, without searching: a table, and a contact sheet.",
    ),
    "search": ("search", "Search small, accurate networks."),
    "report": ("report", "Write a study's report: one page that needs no network."),
    "dashboard": (
        "report",
        "Open optuna-dashboard on this machine, with the files of the trials.",
    ),
    "export": (
        "export",
        "Export a trained network, normalisation included, and check it against PyTorch.",
    ),
    "predict": ("export", "Classify images with a trained or exported network."),
    "train": (
        "train",
        "Train one network fully: a final training, scored once on the test split.",
    ),
    "best": ("fit", "Name the best network of a search up to a size, and train it fully."),
    "compare": (
        "compare",
        "Train networks alike from several seeds and score them on the test split.",
    ),
}
"""Each command: its module in this folder, and the first line of its help."""


def load_command(name: str) -> Any:
    """Load a command of the app ``optuna-de``, with its options."""
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    module = import_module(f"optuna_de.cli.{COMMANDS[name][0]}")
    single.command(name, cls=_Command)(getattr(module, name))
    return typer.main.get_command(single)


class _Command(TyperCommand):
    """A command whose errors name the value that cannot be read."""

    def make_context(self, *args: Any, **more: Any) -> Any:
        try:
            return super().make_context(*args, **more)
        except Exception as error:
            faults = getattr(error.__cause__, "errors", None)  # of pydantic, which Typer uses
            param = getattr(error, "param", None)
            if param is None or faults is None:
                raise
            fault = faults()[0]
            kind = fault["type"].partition("_")[0]  # as of "int_parsing"
            said = fault["msg"].removeprefix("Input should ")
            wanted = {"int": "be a whole number", "float": "be a number"}.get(kind, said)
            raise ValueError(
                f"{param.opts[-1]} is {fault['input']!r}, but must {wanted}."
            ) from None


class _Commands(TyperGroup):
    """Commands of the table, of which the one that is called is loaded."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name is None or command is None:
            return name, command, rest
        file, rest = take_config(rest)
        if not ctx.resilient_parsing:
            check_early(name, rest)
        loaded = load_command(name)
        if file is not None:
            known = {option: p.name for p in loaded.params for option in p.opts}
            ctx.default_map = {name: read_config(file, known)}
        return name, loaded, rest


app = typer.Typer(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False)


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
    """Neural architecture search by differential evolution, on Optuna.

    Every command reads options from a file, too: --config FILE.toml; the command line wins.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=errors, show_time=False, show_path=False)],
    )


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
