"""The command ``data``: what a set of images holds, without a search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from optuna_de._text import printable
from optuna_de.cli.console import console, say
from optuna_de.cli.options import Opt, spread
from optuna_de.cnn.data.contact_sheet import (
    ClassCounts,
    class_counts,
    contact_sheet,
    write_contact_sheet,
)
from optuna_de.cnn.data.loading import DataChoice, load_divided
from optuna_de.cnn.data.store.cache import cache_folder, cache_in, clear_cache

_ROWS = 40


@spread("data")
def data(
    choice: DataChoice,
    path: Annotated[
        str | None, typer.Argument(help="Folder, table, .npz or .tar of images, or a name.")
    ] = None,
    out: Annotated[Path | None, Opt(help="Contact sheet to write: a .png or .html file.")] = None,
    clear_the_cache: Annotated[
        bool, Opt("--clear-cache", help="Delete all decoded images, and say how many bytes.")
    ] = False,
) -> None:
    """Show what a set of images holds, without searching: a table, and a contact sheet."""
    if path is None and not clear_the_cache:
        raise ValueError("Give the path or name of images, or --clear-cache.")
    if out is not None and out.suffix.lower() not in (".png", ".html", ".htm"):
        raise ValueError(f"out is {str(out)!r}, but must end in .png or .html.")
    if clear_the_cache:
        with cache_in(choice.cache_dir):
            say(f"Deleted {clear_cache() / 1e6:,.1f} MB of the cache {cache_folder()}.")
    if path is not None:
        _show(replace(choice, data=path), out)


def _show(choice: DataChoice, out: Path | None) -> None:
    source, divided = load_divided(choice.source, choice)
    say(f"Data {source.summary}")
    console.print(_table(source.classes, class_counts(source, divided)))
    c, h, w = source.image_shape
    say(f"Networks would see {w}x{h} pixels and {c} channel{'s' if c > 1 else ''}.")
    if out is not None:
        write_contact_sheet(out, contact_sheet(source, divided), source.summary)
        say(f"Wrote {out}.")


def _table(classes: tuple[str, ...], counts: ClassCounts) -> Table:
    table = Table(box=None)
    table.add_column("class")
    for name in ("training", "validation", "test"):
        table.add_column(name, justify="right")
    test = [] if counts.test is None else counts.test.tolist()
    for i, name in enumerate(classes[:_ROWS]):
        cells = (counts.train[i], counts.validation[i])
        shown = f"{test[i]:,}" if test else "official"
        table.add_row(escape(printable(name)), *(f"{n:,}" for n in cells), shown)
    if len(classes) > _ROWS:
        table.add_row(f"and {len(classes) - _ROWS} more", "", "", "")
    every = (f"{int(n.sum()):,}" for n in (counts.train, counts.validation))
    table.add_row("all", *every, f"{sum(test):,}" if test else "official", style="bold")
    return table
