"""Consoles of all commands."""

from __future__ import annotations

import io
import os
import sys

import rich.console

from optuna_de._text import printable


class Console(rich.console.Console):
    """A console whose reader may leave: what is printed after that is dropped."""

    def on_broken_pipe(self) -> None:
        """Go on without output; the base class would end the program."""
        self.quiet = True
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.file.fileno())  # or the interpreter complains when it flushes at exit
        os.close(null)


def replace_unprintable() -> None:
    """Print a question mark for a character that the terminal's encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


console = Console()
errors = Console(stderr=True)


def say(text: str, where: rich.console.Console = console) -> None:
    """Print plain text: no markup, highlights, added line breaks or control characters."""
    where.print(printable(text, keep="\n"), highlight=False, markup=False, soft_wrap=True)
