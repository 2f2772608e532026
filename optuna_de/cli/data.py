"""The command ``data``: show what a set of images holds, without searching; its options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from optuna_de.cli.options import Opt, spread
from optuna_de.cnn.data.options import DataOptions


@spread("data")
def data(
    options: DataOptions,
    path: Annotated[
        str | None, typer.Argument(help="Folder, table, .npz or .tar of images, or a name.")
    ] = None,
    out: Annotated[Path | None, Opt(help="Contact sheet to write: a .png or .html file.")] = None,
    clear_the_cache: Annotated[
        bool, Opt("--clear-cache", help="Delete all decoded images, and say how many bytes.")
    ] = False,
) -> None:
    """Show what a set of images holds, without searching: a table, and a contact sheet.

    Example: optuna-de data photos --out sheet.html
    """
    if path is None and not clear_the_cache:
        raise ValueError("Give the path or name of images, or --clear-cache.")
    if out is not None and out.suffix.lower() not in (".png", ".html", ".htm"):
        raise ValueError(f"out is {str(out)!r}, but must end in .png or .html.")
    from optuna_de.cli.runs.data import clear, show

    if clear_the_cache:
        clear(options)
    if path is not None:
        show(replace(options, data=path), out)
