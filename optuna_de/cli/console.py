"""The consoles that all commands print to."""

from __future__ import annotations

from rich.console import Console

console = Console()
errors = Console(stderr=True)


def say(text: str, where: Console = console) -> None:
    """Print plain text: no markup, no highlights, no line breaks of ours."""
    where.print(text, highlight=False, markup=False, soft_wrap=True)
