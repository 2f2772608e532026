"""Consoles of all commands."""

from __future__ import annotations

from rich.console import Console

from optuna_de._text import printable

console = Console()
errors = Console(stderr=True)


def say(text: str, where: Console = console) -> None:
    """Print plain text: no markup, highlights, added line breaks or control characters."""
    where.print(printable(text, keep="\n"), highlight=False, markup=False, soft_wrap=True)
